//! Snapshots as side records. The body is a format number, 2, and the mark.

use super::FORMAT;
use super::change::snapshot_mark;
use super::codec::{DecodeError, Reader, Writer};
use super::snapshot_mark::{read_mark, write_mark};
use crate::port::journal::Record;
use crate::port::store::{SideChanges, SideKey, SideKind, SideRecord};
use crate::snapshot::SnapshotMark;

/// Returns the key of the side record of the record with a sequence.
pub(super) fn key(sequence: u64) -> SideKey {
    SideKey { kind: SideKind::SNAPSHOT, number: sequence }
}

/// Reads the body of a side record.
///
/// # Errors
/// It is not a mark of this format.
pub(super) fn decode_record(body: &[u8]) -> Result<SnapshotMark, DecodeError> {
    let mut input = Reader::new(body);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "snapshot format" });
    }
    let mark = read_mark(&mut input)?;
    if input.is_empty() { Ok(mark) } else { Err(DecodeError::Unknown { what: "tail" }) }
}

fn encode_record(mark: &SnapshotMark) -> Vec<u8> {
    let mut out = Writer(vec![FORMAT]);
    write_mark(&mut out, mark);
    out.0
}

/// Adds what frames say about snapshots to the changes of their user's side records.
///
/// # Errors
/// A frame is not a change of this format.
pub(super) fn fold_marks(frames: &[Record], changes: &mut SideChanges) -> Result<(), DecodeError> {
    for frame in frames {
        match snapshot_mark(frame.into())? {
            Some(SnapshotMark::Removed { taken }) => {
                let removed = key(taken);
                changes.put.retain(|record| record.key != removed);
                changes.remove.push(removed);
            }
            Some(mark) => changes.put.push(SideRecord { key: key(frame.sequence), body: encode_record(&mark) }),
            None => {}
        }
    }
    Ok(())
}
