//! Visits the states of many revisions in one load.

use super::block::records;
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::unpack;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, StoreError};
use crate::state::UserState;

/// Replays a user's history while it is loaded, and visits the state of each revision from one to another. A revision may
/// be visited again if the load starts over.
pub struct HistoryWalk<'a> {
    first: u64,
    last: u64,
    /// The state of the checkpoint. Replay continues from it if the blocks do not reach it.
    checkpoint: Option<UserState>,
    state: Option<UserState>,
    is_broken: bool,
    visit: &'a mut dyn FnMut(&UserState),
}

impl<'a> HistoryWalk<'a> {
    /// Visits the revisions from `first` to `last`, both included.
    pub fn new(first: u64, last: u64, visit: &'a mut dyn FnMut(&UserState)) -> Self {
        Self { first, last, checkpoint: None, state: None, is_broken: false, visit }
    }

    /// Continues with `state`.
    fn start(&mut self, state: UserState) {
        let before = self.state.as_ref().map(|before| before.envelope.revision);
        self.go_on(state, before);
    }

    /// Continues with `state`, which follows the revision `before`.
    fn go_on(&mut self, state: UserState, before: Option<u64>) {
        let revision = state.envelope.revision;
        if before != Some(revision) && (self.first..=self.last).contains(&revision) {
            (self.visit)(&state);
        }
        self.state = Some(state);
    }

    fn sequence(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.sequence)
    }

    fn step(&mut self, step: &HistoryStep) -> Result<(), DecodeError> {
        let before = self.state.take();
        let revision = before.as_ref().map(|before| before.envelope.revision);
        self.go_on(step.apply(before)?, revision);
        Ok(())
    }

    /// Continues with the state of the checkpoint if the history before it has a gap.
    fn leave_history(&mut self) {
        if let Some(state) = self.checkpoint.take()
            && (self.is_broken || self.sequence() < state.sequence)
        {
            self.start(state);
        }
    }

    /// Ends the walk. A user without newer frames has the state of the checkpoint as the last one.
    pub fn finish(mut self) {
        self.leave_history();
    }
}

impl LoadVisitor for HistoryWalk<'_> {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        (self.checkpoint, self.state, self.is_broken) = (None, None, false);
        let Some(state) = state.map(unpack).transpose()? else { return Ok(()) };
        if self.first < state.envelope.revision {
            self.checkpoint = Some(state);
        } else {
            self.start(state);
        }
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.checkpoint.is_some()
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        let state = unpack(state)?;
        let is_before = state.envelope.revision <= self.first;
        if is_before {
            self.start(state);
        }
        Ok(is_before)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            if record.sequence <= self.sequence() {
                continue;
            }
            if self.is_done() {
                break;
            }
            let step = HistoryStep::decode(record)?;
            if step.base_sequence() != self.sequence() {
                self.is_broken = true;
                break;
            }
            self.step(&step)?;
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.leave_history();
        // Blocks may be newer than the frames.
        if record.sequence > self.sequence() {
            self.step(&HistoryStep::of_frame(record)?)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.envelope.revision > self.last)
    }
}
