//! Thinning: revisions that nobody may ask for any more are dropped from a user's history.
//!
//! Records between two revisions that stay become one record, which holds what differs between the two states. Blocks in
//! which nothing is dropped are left as they are. Nothing is dropped if the merged record does not lead to the very bytes of
//! the state that the records led to.
//!
//! When a user's history may next have something to remove is noted in a side record:
//!
//! ```text
//! length  field
//!      1  format, 2
//!         time in microseconds since the Unix epoch (signed)
//! ```

mod plan;
mod rewrite;

use jiff::tz::TimeZone;

use self::plan::Plan;
use self::rewrite::rewrite;
use super::FORMAT;
use super::codec::{DecodeError, Reader, Writer};
use super::snapshot_record::decode_record;
use crate::port::retention::{HistoryRetention, SideRecords};
use crate::port::store::{SideChanges, SideKey, SideKind, SideRecord, StoreError};
use crate::snapshot::{SnapshotMarks, SnapshotPeriods};

/// A user's history is not rewritten more often than this part of the period of all revisions.
const SPACING_PARTS: i64 = 4;

/// Keeps every revision for a time, and then those of snapshots.
#[derive(Debug, Clone)]
pub struct ThinHistory {
    /// The zone in which days are taken.
    pub zone: TimeZone,
    /// How long revisions and snapshots are kept.
    pub periods: SnapshotPeriods,
}

impl HistoryRetention for ThinHistory {
    fn is_due(&self, note: Option<&[u8]>, now: i64) -> bool {
        // A note that cannot be read is written anew.
        note.and_then(|note| read_note(note).ok()).is_none_or(|due| due <= now)
    }

    fn thin(&self, records: &dyn SideRecords, now: i64) -> Result<SideChanges, StoreError> {
        let marks = read_marks(records)?;
        let plan = Plan::read(self, records, &marks, now)?;
        let mut changes = if plan.drops() { rewrite(records, &plan)? } else { SideChanges::default() };
        changes.remove.extend(plan.expired_marks(self, &marks, now));
        let due = plan.due(self, &marks, now);
        let key = SideKey { kind: SideKind::RETENTION, number: 0 };
        changes.put.push(SideRecord { key, body: write_note(due) });
        Ok(changes)
    }
}

fn read_marks(records: &dyn SideRecords) -> Result<SnapshotMarks, StoreError> {
    let mut marks = SnapshotMarks::default();
    for key in records.keys(SideKind::SNAPSHOT)? {
        if let Some(body) = records.read(key)? {
            marks.apply(key.number, decode_record(&body)?);
        }
    }
    Ok(marks)
}

fn write_note(due: i64) -> Vec<u8> {
    let mut out = Writer(vec![FORMAT]);
    out.signed(due);
    out.0
}

fn read_note(note: &[u8]) -> Result<i64, DecodeError> {
    let mut input = Reader::new(note);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "format of a note" });
    }
    input.signed()
}
