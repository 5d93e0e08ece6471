//! The segments of the journal and the frames in them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use domain::port::journal::RecordKind;

use super::InspectedStore;
use super::report::{InspectReport, InspectedKind, StoreFault};
use super::slots::{Ciphers, count};
use crate::disk::{DiskFile, open_read_only, read_full_at};
use crate::journal::{
    DIRECTORY, FrameHeader, MARK_BYTES, Position, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentItem, find_mark,
    parse_item,
};
use crate::load::open_frame;
use crate::user_hash::UserHash;

const WHAT: &str = "the journal";

/// What a walk through the segments has found.
#[derive(Default)]
pub(super) struct WalkedJournal {
    segments: u64,
    epoch: Option<u64>,
}

/// The newest frame of a user so far.
struct LastFrame {
    sequence: u64,
    generation: u32,
    position: Position,
}

/// Checks all segments, and opens every frame.
pub(super) fn check(store: &InspectedStore<'_>, data_dir: &Path, report: &mut InspectReport) -> Result<(), StoreFault> {
    let (mut kind, mut ciphers) = (InspectedKind::default(), Ciphers::new(store.keyring));
    let mut newest: HashMap<UserHash, LastFrame> = HashMap::new();
    let mut first_fault = None;
    let walked = walk(&data_dir.join(DIRECTORY), &mut |position, header, sealed| {
        check_chain(newest.get(&header.user), position, header)?;
        let FrameHeader { user, sequence, generation, slot, .. } = *header;
        newest.insert(user, LastFrame { sequence, generation, position });
        let key = match header.kind == RecordKind::ERASURE.0 {
            true => Ok(ciphers.of_erasures()),
            false => ciphers.find(slot, generation),
        };
        let opened = count(&mut kind, key, WHAT, |cipher| {
            let record =
                open_frame(cipher, header, sealed).ok_or_else(|| format!("the seal at {position} is wrong"))?;
            match store.hasher.hash(&record.user) == user {
                true => Ok(()),
                false => Err(format!("the frame at {position} is of another user")),
            }
        });
        opened.map_err(|fault| {
            let text = fault.to_string();
            first_fault = Some(fault);
            text
        })
    });
    if let Some(fault) = first_fault {
        return Err(fault);
    }
    let walked = walked.map_err(|detail| StoreFault::new(WHAT, detail))?;
    report.add("journal, segments", InspectedKind { opened: walked.segments, ..InspectedKind::default() });
    report.add("journal, frames", kind);
    let meta = store.sled.meta().map_err(|error| StoreFault::new("sled", error.to_string()))?;
    let meta = meta.ok_or_else(|| StoreFault::new("sled", "its meta record is missing".to_owned()))?;
    if walked.epoch.is_some_and(|epoch| epoch != meta.epoch) {
        return Err(StoreFault::new(WHAT, "it belongs to another store than sled".to_owned()));
    }
    Ok(())
}

/// Checks that a frame follows the one before it of the same user.
fn check_chain(before: Option<&LastFrame>, position: Position, header: &FrameHeader) -> Result<(), String> {
    let Some(before) = before else { return Ok(()) };
    if header.sequence != before.sequence + 1 || header.generation < before.generation {
        return Err(format!("{position} has sequence {} after {}", header.sequence, before.sequence));
    }
    if header.previous != Position::NONE && header.previous != before.position {
        return Err(format!("the frame at {position} names another one before it"));
    }
    Ok(())
}

/// Takes a frame with its position, its header and its sealed body.
type VisitFrame<'a> = dyn FnMut(Position, &FrameHeader, &[u8]) -> Result<(), String> + 'a;

/// Passes every frame with its position, its header and its sealed body, in the order of the journal.
pub(super) fn walk(directory: &Path, visit: &mut VisitFrame<'_>) -> Result<WalkedJournal, String> {
    let mut walked = WalkedJournal::default();
    let mut numbers = numbers(directory).map_err(|error| format!("it cannot be listed: {error}"))?;
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if pair[0] + 1 != pair[1] {
            return Err(format!("segment {} is missing", pair[0] + 1));
        }
    }
    for (at, &number) in numbers.iter().enumerate() {
        let (file, header) = open(directory, number)?;
        if *walked.epoch.get_or_insert(header.epoch) != header.epoch || header.number != number {
            return Err(format!("segment {number} belongs elsewhere"));
        }
        let end = numbers.get(at + 1).map(|next| open(directory, *next)).transpose()?;
        let end = end.map(|(_, next)| next.previous_end);
        walk_segment(&*file, &header, end, visit)?;
        walked.segments += 1;
    }
    Ok(walked)
}

fn walk_segment(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    end: Option<u32>,
    visit: &mut VisitFrame<'_>,
) -> Result<(), String> {
    let number = header.number;
    let unreadable = |error| format!("segment {number} cannot be read: {error}");
    let length = end.map_or_else(|| file.length(), |end| Ok(u64::from(end))).map_err(unreadable)?;
    let mut bytes = vec![0; length.saturating_sub(u64::from(SEGMENT_HEADER_BYTES)) as usize];
    let filled = read_full_at(file, &mut bytes, u64::from(SEGMENT_HEADER_BYTES)).map_err(unreadable)?;
    bytes.truncate(filled);
    let mut at = 0;
    loop {
        let position = Position::new(number, SEGMENT_HEADER_BYTES + at as u32);
        match parse_item(&bytes[at..]) {
            SegmentItem::Frame { header, sealed, length } => {
                visit(position, &header, sealed)?;
                at += length;
            }
            SegmentItem::Mark { epoch, position: named } if (epoch, named) == (header.epoch, position) => {
                at += MARK_BYTES;
            }
            SegmentItem::Newer { what, found, .. } => return Err(format!("{what} at {position} has format {found}")),
            _ if end.is_some() && at == bytes.len() => return Ok(()),
            _ if end.is_some() => return Err(format!("{position} cannot be read")),
            // Behind the last mark, a write may be incomplete that was never acknowledged.
            _ => match find_mark(&bytes[at..], header.epoch, position) {
                Some(mark) => return Err(format!("{position} cannot be read, though all before {mark} was synced")),
                None => return Ok(()),
            },
        }
    }
}

fn open(directory: &Path, number: u32) -> Result<(std::sync::Arc<dyn DiskFile>, SegmentHeader), String> {
    let file = open_read_only(&directory.join(format!("{number:010}.segment")));
    let file = file.map_err(|error| format!("segment {number} cannot be read: {error}"))?;
    let header = SegmentHeader::read(&*file).map_err(|_| format!("the header of segment {number} cannot be read"))?;
    Ok((file, header))
}

fn numbers(directory: &Path) -> std::io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number: Option<u32> =
            name.to_string_lossy().strip_suffix(".segment").and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}
