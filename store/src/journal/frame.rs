//! The bytes of the journal: frames, and the marks between groups.
//!
//! Both start alike (little-endian): length u32 (all of it), CRC-32C u32 (of the length and of all that follows),
//! format u8, kind u8. A length of zero is where nothing was written yet.

use domain::port::journal::RecordKind;

use super::position::Position;
use crate::seal::{Label, NONCE_BYTES, TAG_BYTES, TENANT};
use crate::user_hash::UserHash;

/// The format of frames and marks.
pub(crate) const FRAME_FORMAT: u8 = 1;
const MARK_KIND: u8 = 0;
/// A load hands out the bodies of all frames as changes; another kind of frame has to be told apart there first.
const NEWEST_KIND: u8 = RecordKind::Change as u8;
const MARK_MAGIC: &[u8; 8] = b"PSJ-MARK";
const START_BYTES: usize = 10;

// Offsets of a frame's header; the sealed body follows it.
const TENANT_AT: usize = 12;
const SLOT_AT: usize = 16;
const GENERATION_AT: usize = 20;
const SEQUENCE_AT: usize = 24;
const USER_AT: usize = 32;
const PREVIOUS_AT: usize = 48;
const NONCE_AT: usize = 56;
/// Bytes of a frame before its sealed body.
pub(crate) const FRAME_HEADER_BYTES: usize = NONCE_AT + NONCE_BYTES;

// Offsets of a mark.
const MAGIC_AT: usize = 16;
const EPOCH_AT: usize = 24;
const POSITION_AT: usize = 32;
/// Bytes of a mark.
pub(crate) const MARK_BYTES: usize = 40;

/// What a frame says about itself in plain; all but `previous` is bound to the body by its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u8,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u64,
    pub(crate) user: UserHash,
    /// The user's frame before this one, if it was still in the index then.
    pub(crate) previous: Position,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl FrameHeader {
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

    /// Appends the header; [`finish_frame`] fills in the length, the chain and the checksum.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.resize(start + FRAME_HEADER_BYTES, 0);
        let bytes = &mut buffer[start..];
        bytes[8] = FRAME_FORMAT;
        bytes[9] = self.kind;
        put(bytes, TENANT_AT, &TENANT.to_le_bytes());
        put(bytes, SLOT_AT, &self.slot.to_le_bytes());
        put(bytes, GENERATION_AT, &self.generation.to_le_bytes());
        put(bytes, SEQUENCE_AT, &self.sequence.to_le_bytes());
        put(bytes, USER_AT, &self.user.0);
        put(bytes, NONCE_AT, &self.nonce);
    }
}

/// Completes a frame once its place in the journal is known.
pub(crate) fn finish_frame(frame: &mut [u8], previous: Position) {
    put(frame, PREVIOUS_AT, &previous.to_u64().to_le_bytes());
    seal_start(frame);
}

/// A mark at `position`: all that lies before it was synced before it was written. Each group begins with one.
///
/// So when damage lies before a mark, durable bytes were lost, and when none follows, a write was torn.
pub(crate) fn encode_mark(epoch: u64, position: Position) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[8] = FRAME_FORMAT;
    bytes[9] = MARK_KIND;
    put(&mut bytes, MAGIC_AT, MARK_MAGIC);
    put(&mut bytes, EPOCH_AT, &epoch.to_le_bytes());
    put(&mut bytes, POSITION_AT, &position.to_u64().to_le_bytes());
    seal_start(&mut bytes);
    bytes
}

/// One step through a segment.
#[derive(Debug)]
pub(crate) enum SegmentItem<'a> {
    Frame {
        header: FrameHeader,
        sealed: &'a [u8],
        length: usize,
    },
    Mark {
        epoch: u64,
        position: Position,
    },
    /// Nothing was written here.
    Blank,
    /// These are not bytes that were written here, whole.
    Damaged,
    /// A sound record of a format, kind or tenant that is not known here.
    Newer {
        what: &'static str,
        found: u16,
        supported: u16,
    },
}

/// The length that the record at the start of `bytes` claims; 0 if there is none.
pub(crate) fn claimed_length(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// Reads the record at the start of `bytes`, which may hold more.
pub(crate) fn parse_item(bytes: &[u8]) -> SegmentItem<'_> {
    let length = claimed_length(bytes);
    if length == 0 {
        return SegmentItem::Blank;
    }
    if length < START_BYTES || length > bytes.len() {
        return SegmentItem::Damaged;
    }
    let record = &bytes[..length];
    if checksum(record).to_le_bytes() != record[4..8] {
        return SegmentItem::Damaged;
    }
    match (record[8], record[9]) {
        (format, _) if format > FRAME_FORMAT => {
            SegmentItem::Newer { what: "a frame of the journal", found: format.into(), supported: FRAME_FORMAT.into() }
        }
        (_, MARK_KIND) if length == MARK_BYTES && record[MAGIC_AT..].starts_with(MARK_MAGIC) => SegmentItem::Mark {
            epoch: u64::from_le_bytes(array_at(record, EPOCH_AT)),
            position: Position::from_u64(u64::from_le_bytes(array_at(record, POSITION_AT))),
        },
        (_, kind) if kind != MARK_KIND && length >= FRAME_HEADER_BYTES + TAG_BYTES => {
            let tenant = u32::from_le_bytes(array_at(record, TENANT_AT));
            if kind > NEWEST_KIND {
                let (found, supported) = (kind.into(), NEWEST_KIND.into());
                return SegmentItem::Newer { what: "the kind of a frame of the journal", found, supported };
            }
            if tenant != TENANT {
                let found = u16::try_from(tenant).unwrap_or(u16::MAX);
                return SegmentItem::Newer {
                    what: "the tenant of a frame of the journal",
                    found,
                    supported: TENANT as u16,
                };
            }
            let header = FrameHeader {
                kind,
                slot: u32::from_le_bytes(array_at(record, SLOT_AT)),
                generation: u32::from_le_bytes(array_at(record, GENERATION_AT)),
                sequence: u64::from_le_bytes(array_at(record, SEQUENCE_AT)),
                user: UserHash(array_at(record, USER_AT)),
                previous: Position::from_u64(u64::from_le_bytes(array_at(record, PREVIOUS_AT))),
                nonce: array_at(record, NONCE_AT),
            };
            SegmentItem::Frame { header, sealed: &record[FRAME_HEADER_BYTES..], length }
        }
        _ => SegmentItem::Damaged,
    }
}

/// Finds a sound mark in `bytes`, which lie at `base`: its place in the journal is part of it, so nothing else passes.
pub(crate) fn find_mark(bytes: &[u8], epoch: u64, base: Position) -> Option<Position> {
    let mut from = MAGIC_AT;
    while let Some(found) = bytes.get(from..)?.windows(8).position(|window| window == MARK_MAGIC) {
        let start = from + found - MAGIC_AT;
        let place = Position::new(base.segment, base.offset + start as u32);
        if bytes[start..].starts_with(&encode_mark(epoch, place)) {
            return Some(place);
        }
        from += found + 1;
    }
    None
}

fn seal_start(record: &mut [u8]) {
    let length = record.len() as u32;
    put(record, 0, &length.to_le_bytes());
    let crc = checksum(record);
    put(record, 4, &crc.to_le_bytes());
}

fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes[at..at + part.len()].copy_from_slice(part);
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
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
        for (at, what) in [(8, "a frame"), (9, "the kind"), (TENANT_AT, "the tenant")] {
            let mut newer = bytes.clone();
            newer[at] = 2;
            finish_frame(&mut newer, Position::NONE);
            let SegmentItem::Newer { what: found, found: 2, .. } = parse_item(&newer) else {
                panic!("{what}: {:?}", parse_item(&newer))
            };
            assert!(found.starts_with(what), "{found}");
        }
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
