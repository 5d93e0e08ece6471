//! The layout of stored files, for tests that read or damage them. The numbers are written down again here, so that a test
//! fails when a stored format changes.

/// Bytes before the first group of a segment.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4096;
/// Bytes of a segment's header that its checksum covers, and the checksum.
pub(crate) const SEGMENT_HEADER_USED_BYTES: usize = 52;
/// The format in a segment's header, a u16.
pub(crate) const SEGMENT_FORMAT_AT: usize = 8;

/// The kind of a frame or a mark, from its start.
pub(crate) const KIND_AT: usize = 9;
/// The kind of a mark.
pub(crate) const MARK_KIND: u8 = 0;
/// Bytes of a mark.
pub(crate) const MARK_BYTES: usize = 40;
/// The magic bytes of a mark, and where they stand in it.
pub(crate) const MARK_MAGIC: &[u8] = b"PSJ-MARK";
pub(crate) const MARK_MAGIC_AT: usize = 16;

/// Bytes before the first slot of the keyring.
pub(crate) const KEYRING_HEADER_BYTES: usize = 8192;
/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 64;
/// The state of a slot is its first byte.
pub(crate) const SLOT_LIVE: u8 = 1;
pub(crate) const SLOT_DESTROYED: u8 = 2;
/// A byte of the wrapped key in a slot.
pub(crate) const WRAPPED_KEY_BYTE_AT: usize = 20;
