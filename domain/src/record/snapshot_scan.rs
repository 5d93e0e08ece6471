//! Finds a user's snapshots while the user is loaded. Nothing is replayed.

use super::block::records;
use super::history_step::HistoryStep;
use super::snapshot_record::decode_record;
use super::unpack;
use crate::id::ProfileId;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, SideKind, SideRecord, StoreError};
use crate::snapshot::{DailyPoint, SnapshotMarks};

/// Reads which revisions a user's history reaches, and what its records say about snapshots.
#[derive(Debug, Default)]
pub struct SnapshotScan {
    /// Whether only the marks are looked for.
    marks_only: bool,
    found: ScannedHistory,
    sequence: u64,
    /// The checkpoint's revision and sequence, if history before it is needed.
    head: Option<(DailyPoint, u64)>,
}

/// What a [`SnapshotScan`] has found.
#[derive(Debug, Clone, Default)]
pub struct ScannedHistory {
    /// The profile's id; `None` for a user without any revision.
    pub profile_id: Option<ProfileId>,
    /// The revisions that can be reached, ascending.
    pub points: Vec<DailyPoint>,
    /// The marks about snapshots.
    pub marks: SnapshotMarks,
    /// From when on every revision can be reached, in microseconds since the Unix epoch.
    pub retained_from: i64,
}

impl SnapshotScan {
    /// Returns a scan that finds the marks, for which no history is read, and no revisions.
    pub fn for_marks() -> Self {
        Self { marks_only: true, ..Self::default() }
    }

    /// Returns what was found.
    pub fn finish(mut self) -> ScannedHistory {
        self.leave_history();
        self.found
    }

    fn take_step(&mut self, sequence: u64, step: &HistoryStep) {
        self.sequence = sequence;
        if let Some(mark) = step.snapshot() {
            self.found.marks.apply(sequence, mark);
        }
        if let (Some(revision), Some(generated_at)) = (step.revision(), step.generated_at()) {
            if step.dropped().is_some() || self.found.points.is_empty() {
                self.found.retained_from = generated_at;
            }
            self.found.points.push(DailyPoint { revision, generated_at });
        }
        if let HistoryStep::Change(change) = step
            && let Some(start) = change.new_generation
        {
            self.found.profile_id = Some(start.profile_id);
        }
    }

    /// Continues with the state of the checkpoint if the blocks do not reach it.
    fn leave_history(&mut self) {
        if let Some((head, sequence)) = self.head.take()
            && self.sequence < sequence
        {
            self.sequence = sequence;
            self.found.points = vec![head];
            self.found.retained_from = head.generated_at;
        }
    }
}

impl LoadVisitor for SnapshotScan {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self { marks_only: self.marks_only, ..Self::default() };
        if let Some(state) = state.map(unpack).transpose()? {
            let (revision, generated_at) = (state.envelope.revision, state.envelope.generated_at);
            self.found.profile_id = Some(state.envelope.profile_id);
            self.head = Some((DailyPoint { revision, generated_at }, state.sequence));
        }
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.head.is_some() && !self.marks_only
    }

    fn side_kind(&self) -> Option<SideKind> {
        Some(SideKind::SNAPSHOT)
    }

    fn side_record(&mut self, record: SideRecord) -> Result<(), StoreError> {
        self.found.marks.apply(record.key.number, decode_record(&record.body)?);
        Ok(())
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            if record.sequence > self.sequence {
                let step = HistoryStep::decode(record)?;
                if step.base_sequence() != self.sequence {
                    // What is before the gap cannot be reached.
                    self.found.points.clear();
                }
                // Blocks keep the marks that snapshots had, also of those that were removed since.
                self.take_history(record.sequence, &step);
            }
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.leave_history();
        let step = HistoryStep::of_frame(record)?;
        if record.sequence > self.sequence {
            self.take_step(record.sequence, &step);
        } else if let Some(mark) = step.snapshot() {
            // A block has the frame already, and perhaps the side records do not.
            self.found.marks.apply(record.sequence, mark);
        }
        Ok(())
    }
}

impl SnapshotScan {
    /// Takes a step of history. Its marks are in the side records.
    fn take_history(&mut self, sequence: u64, step: &HistoryStep) {
        if step.snapshot().is_none() {
            self.take_step(sequence, step);
        } else {
            self.sequence = sequence;
        }
    }
}
