//! The bytes of the journal: frames, and the marks between groups of frames.
//!
//! A frame holds one record of one user. Numbers are little-endian; offsets and lengths are in bytes.
//!
//! ```text
//! offset  length  field
//!      0       4  length of the whole frame, 84 + n
//!      4       4  CRC-32C of the length and of everything from offset 8 on
//!      8       1  format, 2
//!      9       1  kind: a `RecordKind`, from 1 to 127
//!     10       2  reserved, 0
//!     12       4  tenant, 0
//!     16       4  slot of the user's data key in the keyring
//!     20       4  generation of that key
//!     24       8  sequence of the record among the user's, from 1
//!     32      16  user hash
//!     48       8  position of the user's previous frame: offset, then segment; 0 if there is none
//!     56      12  nonce of the seal
//!     68       n  body and user id, see `user_suffix`, encrypted
//! 68 + n      16  tag of the seal
//! ```
//!
//! A mark starts each group and is also written behind the newest one.
//!
//! ```text
//! offset  length  field
//!      0       4  length of the mark, 40
//!      4       4  CRC-32C, as above
//!      8       1  format, 2
//!      9       1  kind, 0
//!     10       6  reserved, 0
//!     16       8  "PSJ-MARK"
//!     24       8  epoch of the store
//!     32       8  position of this mark: offset, then segment
//! ```
//!
//! Where the length is 0, nothing has been written yet.

use domain::port::journal::RecordKind;

use super::position::Position;
use crate::bytes::{array_at, put, u16_at, u32_at, u64_at};
use crate::seal::{Label, NONCE_BYTES, TAG_BYTES, TENANT, kind::LAST_OF_FRAMES};
use crate::user_hash::UserHash;

/// The format of frames and marks.
const FRAME_FORMAT: u8 = 2;
const MARK_KIND: u8 = 0;
const MARK_MAGIC: &[u8; 8] = b"PSJ-MARK";

// Offsets in frames and marks.
const LENGTH_AT: usize = 0;
const CRC_AT: usize = 4;
const FORMAT_AT: usize = 8;
const KIND_AT: usize = 9;
/// Bytes that frames and marks have in common.
const START_BYTES: usize = 10;

// Offsets in a frame.
const RESERVED_AT: usize = 10;
const TENANT_AT: usize = 12;
const SLOT_AT: usize = 16;
const GENERATION_AT: usize = 20;
const SEQUENCE_AT: usize = 24;
const USER_AT: usize = 32;
const PREVIOUS_AT: usize = 48;
const NONCE_AT: usize = 56;
/// Bytes of a frame before its sealed body.
pub(crate) const FRAME_HEADER_BYTES: usize = NONCE_AT + NONCE_BYTES;

// Offsets in a mark.
const MAGIC_AT: usize = 16;
const EPOCH_AT: usize = 24;
const POSITION_AT: usize = 32;
/// Bytes of a mark.
pub(crate) const MARK_BYTES: usize = 40;

/// The unencrypted fields of a frame. The seal binds all of them but `previous` to the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u8,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u64,
    pub(crate) user: UserHash,
    /// The user's previous frame; [`Position::NONE`] if the index did not have it when the frame was written.
    pub(crate) previous: Position,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl FrameHeader {
    /// Returns the label under which the body is sealed.
    pub(crate) fn label(&self) -> Label {
        Label {
            kind: self.kind,
            format: FRAME_FORMAT,
            tenant: TENANT,
            slot: self.slot,
            generation: self.generation,
            number: self.sequence,
            user: self.user,
        }
    }

    /// Returns whether the frame is an erasure, which is sealed under a key of the system.
    pub(crate) fn is_erasure(&self) -> bool {
        self.kind == RecordKind::ERASURE.0
    }

    /// Appends the header; [`finish_frame`] fills in the length, the previous position and the checksum.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.resize(start + FRAME_HEADER_BYTES, 0);
        let bytes = &mut buffer[start..];
        bytes[FORMAT_AT] = FRAME_FORMAT;
        bytes[KIND_AT] = self.kind;
        put(bytes, TENANT_AT, &TENANT.to_le_bytes());
        put(bytes, SLOT_AT, &self.slot.to_le_bytes());
        put(bytes, GENERATION_AT, &self.generation.to_le_bytes());
        put(bytes, SEQUENCE_AT, &self.sequence.to_le_bytes());
        put(bytes, USER_AT, &self.user.0);
        put(bytes, NONCE_AT, &self.nonce);
    }

    fn decode(frame: &[u8]) -> Self {
        Self {
            kind: frame[KIND_AT],
            slot: u32_at(frame, SLOT_AT),
            generation: u32_at(frame, GENERATION_AT),
            sequence: u64_at(frame, SEQUENCE_AT),
            user: UserHash(array_at(frame, USER_AT)),
            previous: Position::from_u64(u64_at(frame, PREVIOUS_AT)),
            nonce: array_at(frame, NONCE_AT),
        }
    }
}

/// Completes a frame once the position of the user's previous frame is known.
pub(crate) fn finish_frame(frame: &mut [u8], previous: Position) {
    put(frame, PREVIOUS_AT, &previous.to_u64().to_le_bytes());
    put_length_and_crc(frame);
}

/// Returns a mark for `position`. It states that everything before it was synced before it was written.
///
/// Damage before a mark is therefore the loss of durable bytes; damage that no mark follows is a torn write.
pub(crate) fn encode_mark(epoch: u64, position: Position) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[FORMAT_AT] = FRAME_FORMAT;
    bytes[KIND_AT] = MARK_KIND;
    put(&mut bytes, MAGIC_AT, MARK_MAGIC);
    put(&mut bytes, EPOCH_AT, &epoch.to_le_bytes());
    put(&mut bytes, POSITION_AT, &position.to_u64().to_le_bytes());
    put_length_and_crc(&mut bytes);
    bytes
}

/// What a segment contains at one position.
#[derive(Debug)]
pub(crate) enum SegmentItem<'a> {
    Frame {
        header: FrameHeader,
        /// The encrypted body and the tag of its seal.
        sealed: &'a [u8],
        /// Bytes of the whole frame.
        length: usize,
    },
    Mark {
        epoch: u64,
        position: Position,
    },
    /// Nothing has been written here yet.
    Blank,
    /// The bytes are not a whole frame or mark, or their checksum is wrong.
    Damaged,
    /// A frame whose checksum is right, but whose format, kind or tenant this release does not know.
    Newer {
        what: &'static str,
        found: u16,
        supported: u16,
    },
}

/// Returns the length that the frame or mark at the start of `bytes` claims to have; 0 if there is none.
pub(crate) fn claimed_length(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// Reads the frame or mark at the start of `bytes`, which may be longer.
pub(crate) fn parse_item(bytes: &[u8]) -> SegmentItem<'_> {
    let length = claimed_length(bytes);
    if length == 0 {
        return SegmentItem::Blank;
    }
    if length < START_BYTES || length > bytes.len() {
        return SegmentItem::Damaged;
    }
    let item = &bytes[..length];
    if crc(item) != u32_at(item, CRC_AT) {
        return SegmentItem::Damaged;
    }
    match (item[FORMAT_AT], item[KIND_AT]) {
        (format, _) if format > FRAME_FORMAT => {
            SegmentItem::Newer { what: "a frame of the journal", found: format.into(), supported: FRAME_FORMAT.into() }
        }
        (_, MARK_KIND) if length == MARK_BYTES && item[RESERVED_AT..MAGIC_AT].iter().any(|byte| *byte != 0) => {
            SegmentItem::Newer { what: "a reserved field of a mark of the journal", found: 1, supported: 0 }
        }
        (_, MARK_KIND) if length == MARK_BYTES && item[MAGIC_AT..].starts_with(MARK_MAGIC) => {
            SegmentItem::Mark { epoch: u64_at(item, EPOCH_AT), position: Position::from_u64(u64_at(item, POSITION_AT)) }
        }
        (_, kind) if kind != MARK_KIND && length >= FRAME_HEADER_BYTES + TAG_BYTES => parse_frame(item),
        _ => SegmentItem::Damaged,
    }
}

/// Reads a frame whose length, checksum and format are right.
fn parse_frame(frame: &[u8]) -> SegmentItem<'_> {
    let (kind, tenant) = (frame[KIND_AT], u32_at(frame, TENANT_AT));
    // All kinds of records are passed on; who reads a record refuses a kind that it does not know.
    if kind > LAST_OF_FRAMES {
        let (found, supported) = (kind.into(), LAST_OF_FRAMES.into());
        return SegmentItem::Newer { what: "the kind of a frame of the journal", found, supported };
    }
    let reserved = u16_at(frame, RESERVED_AT);
    if reserved != 0 {
        return SegmentItem::Newer {
            what: "a reserved field of a frame of the journal",
            found: reserved,
            supported: 0,
        };
    }
    if tenant != TENANT {
        let found = u16::try_from(tenant).unwrap_or(u16::MAX);
        return SegmentItem::Newer { what: "the tenant of a frame of the journal", found, supported: TENANT as u16 };
    }
    let sealed = &frame[FRAME_HEADER_BYTES..];
    SegmentItem::Frame { header: FrameHeader::decode(frame), sealed, length: frame.len() }
}

/// Finds the first whole mark in `bytes`, which start at `base`. A mark contains its own position, so a copy of one at
/// another position is not taken for a mark.
pub(crate) fn find_mark(bytes: &[u8], epoch: u64, base: Position) -> Option<Position> {
    let mut from = MAGIC_AT;
    while let Some(found) = bytes.get(from..)?.windows(MARK_MAGIC.len()).position(|window| window == MARK_MAGIC) {
        let start = from + found - MAGIC_AT;
        let position = Position::new(base.segment, base.offset + start as u32);
        if bytes[start..].starts_with(&encode_mark(epoch, position)) {
            return Some(position);
        }
        from += found + 1;
    }
    None
}

fn put_length_and_crc(item: &mut [u8]) {
    let length = item.len() as u32;
    put(item, LENGTH_AT, &length.to_le_bytes());
    let crc = crc(item);
    put(item, CRC_AT, &crc.to_le_bytes());
}

/// Returns the CRC-32C of everything but the checksum itself.
fn crc(item: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&item[..CRC_AT]), &item[FORMAT_AT..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let header = FrameHeader {
            kind: 1,
            slot: 5,
            generation: 1,
            sequence: 9,
            user: UserHash([4; 16]),
            previous: Position::NONE,
            nonce: [6; NONCE_BYTES],
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend_from_slice(&[0xaa; 40]);
        finish_frame(&mut bytes, Position::new(3, 77));
        bytes
    }

    #[test]
    fn frames_and_marks_have_the_bytes_that_the_tables_above_show() {
        let header = FrameHeader {
            kind: 1,
            slot: 0x0706_0504,
            generation: 3,
            sequence: 9,
            user: UserHash([4; 16]),
            previous: Position::NONE,
            nonce: [6; NONCE_BYTES],
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend_from_slice(&[0xaa; 2 + TAG_BYTES]);
        finish_frame(&mut bytes, Position::new(2, 0x0101));
        let start = |bytes: &[u8]| [(bytes.len() as u32).to_le_bytes(), crc(bytes).to_le_bytes()].concat();
        let frame = [
            &start(&bytes)[..],
            &[2, 1, 0, 0],
            &[0, 0, 0, 0],
            &[4, 5, 6, 7],
            &[3, 0, 0, 0],
            &[9, 0, 0, 0, 0, 0, 0, 0],
            &[4; 16],
            &[1, 1, 0, 0, 2, 0, 0, 0],
            &[6; 12],
            &[0xaa; 2 + 16],
        ];
        assert_eq!(bytes, frame.concat());
        assert_eq!(bytes.len(), 84 + 2);

        let bytes = encode_mark(5, Position::new(2, 0x0101));
        let (epoch, position) = ([5, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[..], [&start(&bytes)[..], &[2, 0, 0, 0, 0, 0, 0, 0], b"PSJ-MARK", &epoch, &position].concat());
    }

    #[test]
    fn a_frame_reads_back_and_any_flipped_bit_shows() {
        let bytes = frame();
        let SegmentItem::Frame { header, sealed, length } = parse_item(&bytes) else { panic!("a frame") };
        assert_eq!((header.sequence, header.previous, length), (9, Position::new(3, 77), bytes.len()));
        assert_eq!(sealed, [0xaa; 40]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(parse_item(&flipped), SegmentItem::Damaged), "bit {bit}");
        }
        assert!(matches!(parse_item(&bytes[..bytes.len() - 1]), SegmentItem::Damaged));
        let newer =
            [(FORMAT_AT, "a frame"), (KIND_AT, "the kind"), (RESERVED_AT, "a reserved"), (TENANT_AT, "the tenant")];
        for (at, what) in newer {
            let mut newer = bytes.clone();
            newer[at] = 0x80;
            finish_frame(&mut newer, Position::NONE);
            let SegmentItem::Newer { what: found, found: 0x80, .. } = parse_item(&newer) else {
                panic!("{what}: {:?}", parse_item(&newer))
            };
            assert!(found.starts_with(what), "{found}");
        }
        let mut unknown = bytes.clone();
        unknown[KIND_AT] = 0x7f;
        finish_frame(&mut unknown, Position::NONE);
        let SegmentItem::Frame { header, .. } = parse_item(&unknown) else { panic!("a frame of an unknown kind") };
        assert_eq!(header.kind, 0x7f);
        assert!(matches!(parse_item(&[0; 64]), SegmentItem::Blank));
    }

    #[test]
    fn a_mark_is_found_at_its_own_place_only() {
        let place = Position::new(2, 1000);
        let mut bytes = vec![7; 500];
        bytes.extend_from_slice(&encode_mark(11, place));
        bytes.extend_from_slice(&[9; 30]);
        assert_eq!(find_mark(&bytes, 11, Position::new(2, 500)), Some(place));
        assert_eq!(find_mark(&bytes, 11, Position::new(2, 501)), None, "a copy at another place");
        assert_eq!(find_mark(&bytes, 12, Position::new(2, 500)), None, "another store's");
        assert!(matches!(parse_item(&encode_mark(11, place)), SegmentItem::Mark { epoch: 11, .. }));
    }
}
