//! A journal in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::UserId;
use domain::port::journal::{AppendResult, Journal, JournalError, Record, RowId};
use domain::port::log::{EventLog, LogBatch, LogError, LogPosition, NewestRecord};
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};
use parking_lot::Mutex;

/// The frames of every user.
#[derive(Clone, Default)]
pub(super) struct MemoryStore(Arc<Mutex<BTreeMap<UserId, Vec<Record>>>>);

impl Journal for MemoryStore {
    fn append(&mut self, group: &[Record]) -> Result<Vec<AppendResult>, JournalError> {
        let mut users = self.0.lock();
        for record in group {
            let frames = users.entry(record.user).or_default();
            assert_eq!(record.sequence, frames.len() as u64 + 1, "one actor writes");
            frames.push(record.clone());
        }
        // Nothing reads the columns of these users, so one row serves them all.
        Ok(group.iter().map(|_| Ok(RowId(0))).collect())
    }
}

/// Nothing follows this journal.
impl EventLog for MemoryStore {
    fn end(&self) -> LogPosition {
        LogPosition(0)
    }

    fn oldest(&self) -> LogPosition {
        LogPosition(0)
    }

    fn read(&self, from: LogPosition, _: LogPosition, _: usize) -> Result<LogBatch, LogError> {
        Ok(LogBatch { next: from, ..LogBatch::default() })
    }

    fn newest(&self, _: &UserId) -> Result<NewestRecord, StoreError> {
        Ok(NewestRecord::default())
    }
}

impl ProfileStore for MemoryStore {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        let users = self.0.lock();
        let Some(frames) = users.get(user) else { return Ok(None) };
        visitor.checkpoint(None)?;
        frames.iter().try_for_each(|frame| visitor.frame(frame))?;
        Ok(Some(LoadedUser::Living { row: RowId(0), sequence: frames.len() as u64 }))
    }

    fn load_history(
        &self,
        user: &UserId,
        _: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        self.load(user, visitor)
    }
}
