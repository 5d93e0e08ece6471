//! Rebuilds a user's whole history while it is loaded, and compares it with every state that is stored.

use std::collections::BTreeMap;

use super::block::records;
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::{pack, replay, unpack};
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, SideKind, SideRecord, StoreError};
use crate::profile::push_hex;
use crate::state::UserState;

/// Replays all records of a user from the first one on, and compares the states with the bases and the state of the
/// checkpoint, byte for byte. It holds no values in what it returns.
#[derive(Debug, Default)]
pub struct ReplayCheck {
    /// The stored bases, by the sequence of the state. Those that were compared are taken out.
    bases: BTreeMap<u64, Vec<u8>>,
    /// The packed state of the checkpoint, until it was compared, and its sequence.
    checkpoint: Option<(u64, Vec<u8>)>,
    /// The state of the checkpoint with the frames since, as a hydration makes it.
    hydrated: Option<UserState>,
    rebuilt: Option<UserState>,
    report: ReplayReport,
}

/// What a [`ReplayCheck`] has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Records that were replayed.
    pub records: u64,
    /// Revisions that were rebuilt.
    pub revisions: u64,
    /// Revisions that were dropped when history was thinned.
    pub dropped: u64,
    /// Stored states that were compared: bases, the state of the checkpoint, and the newest one.
    pub compared: u64,
    /// The first revision that was rebuilt, and the newest one; 0 if there is none.
    pub range: (u64, u64),
    /// The `profile_hash` of the newest revision, in hex.
    pub profile_hash: String,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

impl ReplayCheck {
    /// Returns what was found.
    pub fn finish(mut self) -> ReplayReport {
        if self.checkpoint.is_some() {
            self.fault("the history does not reach the state of the checkpoint".to_owned());
        }
        for sequence in std::mem::take(&mut self.bases).into_keys() {
            self.fault(format!("the base after record {sequence} has no place in the history"));
        }
        match (self.rebuilt.take(), self.hydrated.take()) {
            (Some(rebuilt), Some(hydrated)) => {
                self.compare(&rebuilt, &pack(&hydrated), "the newest state");
                push_hex(&mut self.report.profile_hash, &hydrated.profile_hash());
            }
            (None, None) => {}
            _ => self.fault("the history does not lead to the newest state".to_owned()),
        }
        self.report
    }

    fn fault(&mut self, what: String) {
        self.report.faults.push(what);
    }

    /// Compares a rebuilt state with a stored one. The day and the rules of a state that memory has rolled without a new
    /// revision may be newer than those of its last record.
    fn compare(&mut self, rebuilt: &UserState, stored: &[u8], what: &str) {
        self.report.compared += 1;
        let (sequence, revision) = (rebuilt.sequence, rebuilt.envelope.revision);
        let is_same = unpack(stored.to_vec()).is_ok_and(|stored_state| {
            let rolled = UserState { day: stored_state.day, rules: stored_state.rules, ..rebuilt.clone() };
            stored_state.day >= rebuilt.day && pack(&rolled) == stored
        });
        if !is_same {
            self.fault(format!("{what} at record {sequence}, revision {revision}, is not the rebuilt one"));
        }
    }

    fn step(&mut self, sequence: u64, step: &HistoryStep) {
        let before = self.rebuilt.as_ref().map_or(0, |state| state.sequence);
        if step.base_sequence() != before {
            self.fault(format!("record {sequence} does not follow record {before}"));
            return;
        }
        let next = match step.apply(self.rebuilt.take()) {
            Ok(next) => next,
            Err(error) => return self.fault(format!("record {sequence}: {error}")),
        };
        self.report.records += 1;
        if let Some(revision) = step.revision() {
            self.report.revisions += 1;
            let (first, newest) = self.report.range;
            self.report.dropped += revision - newest.max(next.salts.first_revision - 1) - 1;
            self.report.range = (if first == 0 { revision } else { first }, revision);
        }
        if let Some(base) = self.bases.remove(&next.sequence) {
            self.compare(&next, &base, "the base");
        }
        if let Some((_, stored)) = self.checkpoint.take_if(|(sequence, _)| *sequence == next.sequence) {
            self.compare(&next, &stored, "the state of the checkpoint");
        }
        self.rebuilt = Some(next);
    }
}

impl LoadVisitor for ReplayCheck {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self::default();
        if let Some(packed) = state {
            let state = unpack(packed.clone())?;
            self.checkpoint = Some((state.sequence, packed));
            self.hydrated = Some(state);
        }
        Ok(())
    }

    fn side_kind(&self) -> Option<SideKind> {
        Some(SideKind::BASE)
    }

    fn side_record(&mut self, record: SideRecord) -> Result<(), StoreError> {
        self.bases.insert(record.key.number - 1, record.body);
        Ok(())
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            match HistoryStep::decode(record) {
                Ok(step) => self.step(record.sequence, &step),
                Err(error) => self.fault(format!("record {}: {error}", record.sequence)),
            }
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        let step = HistoryStep::of_frame(record)?;
        self.step(record.sequence, &step);
        match replay(self.hydrated.take(), record) {
            Ok(state) => self.hydrated = Some(state),
            Err(error) => self.note_unreadable(record.sequence, &error),
        }
        Ok(())
    }
}

impl ReplayCheck {
    fn note_unreadable(&mut self, sequence: u64, error: &DecodeError) {
        self.fault(format!("frame {sequence} does not continue the state of the checkpoint: {error}"));
    }
}
