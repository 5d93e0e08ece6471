//! Start-up: reads what is durable, refuses what is damaged, and opens a segment to append to.
//!
//! All valid bytes up to the last mark were synced before that mark was written. So damage before a mark is the loss
//! of durable bytes, and nothing is repaired. Behind the last mark there is at most one group, and it is unknown how much
//! of it was synced: its valid frames are copied into a new segment and synced there, and a torn rest is cut off. (That
//! bytes can be read does not show that they are durable: if their sync failed before a crash of the process, they are
//! in the page cache and not on the disk.)

use std::io;
use std::sync::Arc;

use super::format::other_format;
use super::frame::{MARK_BYTES, SegmentItem, encode_mark, find_mark, finish_frame, parse_item};
use super::index::{Index, NewestFrame};
use super::position::Position;
use super::segment::{OpenSegment, Segments};
use super::segment_header::{MovedGroup, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentHeaderFault};
use crate::disk::{DiskFile, read_full_at};
use crate::error::OpenError;
use crate::user_hash::UserHash;

/// What start-up found.
pub(crate) struct Recovered {
    /// Where appending continues.
    pub(crate) open_segment: OpenSegment,
    /// Whether the journal ended exactly at the checkpoint.
    pub(crate) nothing_after_checkpoint: bool,
}

/// Reads the frames behind `checkpoint` into `index`. `numbers` are the existing segments, ascending. `release_reserve`
/// frees disk space if there is none for a new segment.
pub(crate) fn recover(
    segments: &Segments,
    numbers: &[u32],
    checkpoint: Position,
    segment_bytes: u64,
    index: &Index,
    release_reserve: &dyn Fn(),
) -> Result<Recovered, OpenError> {
    let new = NewSegment { segments, bytes: segment_bytes, release_reserve };
    let first = checkpoint.segment.max(1);
    let Some(&last) = numbers.last() else {
        let open_segment = new.start(1, 0, &[], MovedGroup::NONE)?;
        return Ok(Recovered { open_segment, nothing_after_checkpoint: true });
    };
    if let Some(missing) = (first..=last.max(first)).find(|number| numbers.binary_search(number).is_err()) {
        return Err(damaged(format!("segment {missing} is missing")));
    }
    for &older in numbers.iter().take_while(|&&number| number < first) {
        segments.open(older).map_err(unreadable)?;
    }

    let mut buffer = Vec::new();
    let mut from = checkpoint.offset.max(SEGMENT_HEADER_BYTES);
    let (mut file, header) = open_checked(segments, first)?;
    let mut moved = header.moved;
    for number in first..last {
        let (next, header) = open_checked(segments, number + 1)?;
        let end = header.previous_end.max(from);
        buffer.resize((end - from) as usize, 0);
        let filled = read_full_at(&*file, &mut buffer, u64::from(from)).map_err(unreadable)?;
        let scan = scan(&buffer[..filled], segments.epoch(), Position::new(number, from), index)?;
        if scan.end != end {
            return Err(damaged(format!("{} cannot be read", Position::new(number, scan.end))));
        }
        (file, from, moved) = (next, SEGMENT_HEADER_BYTES, header.moved);
    }
    recover_last(&new, (&*file, moved), Position::new(last, from), checkpoint, index, buffer)
}

/// Reads the last segment, which may have a torn end and whose last group may not be synced.
fn recover_last(
    new: &NewSegment<'_>,
    (file, moved): (&dyn DiskFile, MovedGroup),
    from: Position,
    checkpoint: Position,
    index: &Index,
    mut buffer: Vec<u8>,
) -> Result<Recovered, OpenError> {
    let segments = new.segments;
    let length = file.length().map_err(unreadable)?.saturating_sub(u64::from(from.offset));
    buffer.resize(length as usize, 0);
    let filled = read_full_at(file, &mut buffer, u64::from(from.offset)).map_err(unreadable)?;
    let bytes = &buffer[..filled];
    let scan = scan(bytes, segments.epoch(), from, index)?;
    let rest = &bytes[(scan.end - from.offset) as usize..];
    let end = Position::new(from.segment, scan.end);
    if let Some(mark) = find_mark(rest, segments.epoch(), end) {
        return Err(damaged(format!("{end} cannot be read, though all before {mark} was synced")));
    }
    let torn = rest.iter().any(|&byte| byte != 0);
    if torn {
        tracing::warn!("the journal's last group was torn at {end}: its rest, never acknowledged, is cut off");
    }

    let synced = Position::new(from.segment, scan.synced);
    let tail = &bytes[(scan.synced - from.offset) as usize..(scan.end - from.offset) as usize];
    let next = Position::new(from.segment + 1, SEGMENT_HEADER_BYTES);
    let (copy, newest_frames) = copy_tail(tail, segments.epoch(), synced, next);
    // Followers compare positions with earlier ones, so a group keeps its first position as its origin.
    let moved = match copy.len() as u32 {
        0 => MovedGroup::NONE,
        bytes => MovedGroup { origin: moved.origin_of(synced), bytes },
    };
    let open_segment = new.start(next.segment, synced.offset, &copy, moved)?;
    for (user, newest) in newest_frames {
        index.set(user, newest);
    }
    // The rest of the old segment is not needed, and a torn group should not stay on the disk.
    if let Err(error) = file.truncate(u64::from(synced.offset)) {
        tracing::warn!("could not cut the journal's {synced}: {error}");
    }
    Ok(Recovered { open_segment, nothing_after_checkpoint: !torn && synced == checkpoint && copy.is_empty() })
}

struct Scan {
    /// The offset of the last mark, or the start.
    synced: u32,
    /// Where the valid records end.
    end: u32,
}

/// Reads frames and marks up to the first bytes that are neither, and enters the frames into the index.
fn scan(bytes: &[u8], epoch: u64, start: Position, index: &Index) -> Result<Scan, OpenError> {
    let mut scan = Scan { synced: start.offset, end: start.offset };
    loop {
        let here = Position::new(start.segment, scan.end);
        match parse_item(&bytes[(scan.end - start.offset) as usize..]) {
            SegmentItem::Frame { header, length, .. } => {
                let newest = NewestFrame {
                    slot: header.slot,
                    generation: header.generation,
                    sequence: header.sequence,
                    is_erasure: header.is_erasure(),
                    position: here,
                };
                let before = index.set(header.user, newest);
                if let Some(before) = before.filter(|before| before.sequence + 1 != header.sequence) {
                    let detail = format!("{here} holds sequence {} after {}", header.sequence, before.sequence);
                    return Err(damaged(detail));
                }
                scan.end += length as u32;
            }
            SegmentItem::Mark { epoch: found, position } if found == epoch && position == here => {
                scan.synced = scan.end;
                scan.end += MARK_BYTES as u32;
            }
            SegmentItem::Mark { .. } | SegmentItem::Blank | SegmentItem::Damaged => return Ok(scan),
            SegmentItem::Newer { what, found, supported } => {
                return Err(OpenError::NewerFormat { what, found, supported });
            }
        }
    }
}

/// Copies the frames behind the last mark, which start at `from`, to a group that starts at `to`. Returns its bytes and
/// the newest frames for the index.
fn copy_tail(tail: &[u8], epoch: u64, from: Position, to: Position) -> (Vec<u8>, Vec<(UserHash, NewestFrame)>) {
    let skipped = if matches!(parse_item(tail), SegmentItem::Mark { .. }) { MARK_BYTES } else { 0 };
    let (mut copy, mut moved) = (Vec::new(), Vec::new());
    if tail.len() > skipped {
        copy.extend_from_slice(&encode_mark(epoch, to));
    }
    // From an offset in the tail to the offset in the new segment.
    let shift = |offset: usize| to.offset + (offset - skipped + MARK_BYTES) as u32;
    let mut at = skipped;
    while let SegmentItem::Frame { header, length, .. } = parse_item(&tail[at..]) {
        let start = copy.len();
        copy.extend_from_slice(&tail[at..at + length]);
        let in_tail = header.previous.segment == from.segment && header.previous.offset >= from.offset;
        let previous = if in_tail {
            Position::new(to.segment, shift((header.previous.offset - from.offset) as usize))
        } else {
            header.previous
        };
        finish_frame(&mut copy[start..], previous);
        let newest = NewestFrame {
            slot: header.slot,
            generation: header.generation,
            sequence: header.sequence,
            is_erasure: header.is_erasure(),
            position: Position::new(to.segment, shift(at)),
        };
        moved.push((header.user, newest));
        at += length;
    }
    (copy, moved)
}

/// How start-up creates the segment that appending continues in.
struct NewSegment<'a> {
    segments: &'a Segments,
    bytes: u64,
    release_reserve: &'a dyn Fn(),
}

impl NewSegment<'_> {
    /// Creates segment `number`, which starts with `first`. The segment before ends at offset `end`.
    fn start(&self, number: u32, end: u32, first: &[u8], moved: MovedGroup) -> Result<OpenSegment, OpenError> {
        let bytes = self.bytes.max(u64::from(SEGMENT_HEADER_BYTES) + (first.len() + MARK_BYTES) as u64);
        let made = self.segments.create_first(number, end, bytes, (first, moved), self.release_reserve);
        let file = made.map_err(unreadable)?;
        let capacity = file.length().map_err(unreadable)?;
        Ok(OpenSegment { file, end: Position::new(number, SEGMENT_HEADER_BYTES + first.len() as u32), capacity })
    }
}

fn open_checked(segments: &Segments, number: u32) -> Result<(Arc<dyn DiskFile>, SegmentHeader), OpenError> {
    let file = segments.open(number).map_err(unreadable)?;
    let header = SegmentHeader::read(&*file).map_err(|fault| match fault {
        SegmentHeaderFault::Unavailable(source) => unreadable(source),
        SegmentHeaderFault::Damaged => damaged(format!("the header of segment {number} cannot be read")),
        SegmentHeaderFault::Format(found) => other_format(found),
        SegmentHeaderFault::Reserved => OpenError::other_format("a reserved field of a segment of the journal", 1, 0),
    })?;
    if (header.number, header.epoch) != (number, segments.epoch()) {
        return Err(damaged(format!("segment {number} belongs elsewhere")));
    }
    Ok((file, header))
}

fn damaged(detail: String) -> OpenError {
    OpenError::Damaged { what: "the journal", detail }
}

fn unreadable(source: io::Error) -> OpenError {
    OpenError::Disk { doing: "recover", path: "journal".into(), source }
}
