//! Lists of revisions: when each was made, why, and which leaves it changed.

use std::collections::VecDeque;

use super::block::{BlockRecord, records};
use super::cause::Cause;
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::unpack;
use crate::access::Viewer;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, StoreError};
use crate::table::LeafSet;

/// A revision as history has it. It holds no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionEntry {
    /// The revision.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// Why it was made.
    pub cause: Cause,
    /// The leaves that it changed.
    pub changed: LeafSet,
    /// The leaves that its event wrote.
    written: LeafSet,
}

impl RevisionEntry {
    /// Returns the cause as far as a viewer with this mask may learn it.
    ///
    /// Citizens and administrators who may read profiles learn everything. Others learn the source of what they see change. An
    /// event of which they see only what was derived from it stays unknown: its source would tell which hidden part changed.
    pub fn cause_for(&self, viewer: &Viewer, mask: LeafSet) -> VisibleCause<'_> {
        let seen = self.changed.and(mask);
        match (viewer, &self.cause) {
            (Viewer::SelfCitizen(_) | Viewer::Admin { profile_read: true }, cause) => VisibleCause::Whole(cause),
            (_, cause @ Cause::Roll) if !seen.is_empty() => VisibleCause::Source(cause),
            (_, cause) if !seen.and(self.written).is_empty() => VisibleCause::Source(cause),
            _ => VisibleCause::Hidden,
        }
    }
}

/// The part of a cause that a viewer may learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisibleCause<'a> {
    /// All of it.
    Whole(&'a Cause),
    /// Its kind and source, without ids and persons.
    Source(&'a Cause),
    /// Nothing.
    Hidden,
}

/// Lists the newest revisions of a range while the history is loaded. No record is replayed.
#[derive(Debug)]
pub struct RevisionList {
    first: u64,
    last: u64,
    limit: usize,
    entries: VecDeque<RevisionEntry>,
    needs_history: bool,
    /// The sequence of the last record that was read.
    sequence: u64,
    is_done: bool,
}

impl RevisionList {
    /// Lists at most `limit` revisions from `first` to `last`.
    pub const fn new(first: u64, last: u64, limit: usize) -> Self {
        let entries = VecDeque::new();
        Self { first, last, limit, entries, needs_history: false, sequence: 0, is_done: false }
    }

    /// Returns the revisions, newest first.
    pub fn finish(self) -> Vec<RevisionEntry> {
        self.entries.into_iter().rev().collect()
    }

    fn read(&mut self, record: BlockRecord<'_>) -> Result<(), DecodeError> {
        if record.sequence <= self.sequence || self.is_done {
            return Ok(());
        }
        self.sequence = record.sequence;
        let step = HistoryStep::decode(record)?;
        let (Some(revision), Some(generated_at)) = (step.revision(), step.generated_at()) else { return Ok(()) };
        self.is_done = revision >= self.last;
        if !(self.first..=self.last).contains(&revision) {
            return Ok(());
        }
        if self.entries.len() == self.limit {
            self.entries.pop_front();
        }
        let (cause, changed, written) = (step.cause(), step.changed(), step.written());
        self.entries.push_back(RevisionEntry { revision, generated_at, cause, changed, written });
        Ok(())
    }
}

impl LoadVisitor for RevisionList {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self::new(self.first, self.last, self.limit);
        if let Some(state) = state.map(unpack).transpose()? {
            self.needs_history = state.envelope.revision >= self.first;
        }
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.needs_history
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        Ok(unpack(state)?.envelope.revision < self.first)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            self.read(record)?;
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        Ok(self.read(record.into())?)
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}
