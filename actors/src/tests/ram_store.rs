//! A journal, store and event log in RAM, whose commits can be made to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use domain::erasure::Tombstone;
use domain::id::UserId;
use domain::port::journal::{AppendResult, Journal, JournalError, OutOfSequence, Record, RecordKind, RowId};
use domain::port::log::{EventLog, LogBatch, LogEntry, LogError, LogPosition, NewestRecord};
use domain::port::projection::{ProjectionStore, SavedProjection, StoredState, UserScan, VisitedUser};
use domain::port::store::{Fold, LoadVisitor, LoadedUser, ProfileStore, SideKind, StoreError};
use domain::record;
use domain::state::UserState;
use parking_lot::Mutex;

/// The result of the commit of the next group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Taken,
    /// The group is not taken.
    NotTaken,
    /// The group may be durable or not: see [`RamStore::restart`]. Every later group fails.
    Unknown,
    /// The journal panics.
    Panics,
}

/// What is durable. It outlives a restart of the actors.
#[derive(Debug, Default, Clone)]
pub(super) struct RamStore(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    frames: BTreeMap<UserId, Vec<Record>>,
    /// Users and sequences in the order of their frames.
    order: Vec<(UserId, u64)>,
    fate: Fate,
    /// Records of unknown fate. A restart decides about them.
    of_unknown_fate: Vec<Record>,
    refuses: bool,
    refused: usize,
    while_syncing: SyncHook,
    unfolded: u64,
    /// The rows of the users, in the order of their first frames.
    rows: BTreeMap<UserId, RowId>,
}

impl Log {
    /// Returns the row of a user, which gets one if it has none.
    fn row(&mut self, user: &UserId) -> RowId {
        let next = RowId(self.rows.len() as u32);
        *self.rows.entry(*user).or_insert(next)
    }

    fn known_row(&self, user: &UserId) -> RowId {
        self.rows[user]
    }

    /// Returns the frames of a user's present generation, or the tombstone of an erased one; `None` for an unknown user.
    fn generation(&self, user: &UserId) -> Option<Result<&[Record], Tombstone>> {
        let frames = self.frames.get(user)?;
        let last = frames.last()?;
        if last.kind == RecordKind::ERASURE {
            return Some(Err(Tombstone::decode(&last.body, last.generation).expect("a tombstone")));
        }
        let first = frames.iter().rposition(|frame| frame.kind == RecordKind::ERASURE).map_or(0, |erasure| erasure + 1);
        Some(Ok(&frames[first..]))
    }

    fn newest(&self, user: &UserId) -> NewestRecord {
        let Some(last) = self.frames.get(user).and_then(|frames| frames.last()) else { return NewestRecord::default() };
        let erased = last.generation - u32::from(last.kind != RecordKind::ERASURE);
        NewestRecord { sequence: last.sequence, erased }
    }
}

/// Work that runs during the next sync.
#[derive(Default)]
struct SyncHook(Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for SyncHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncHook")
    }
}

impl RamStore {
    pub(super) fn set_fate(&self, fate: Fate) {
        self.0.lock().fate = fate;
    }

    /// Runs `hook` during the next sync.
    pub(super) fn while_syncing(&self, hook: impl FnOnce() + Send + 'static) {
        self.0.lock().while_syncing = SyncHook(Some(Box::new(hook)));
    }

    /// Sets how many bytes the checkpoint is behind.
    pub(super) fn set_unfolded(&self, bytes: u64) {
        self.0.lock().unfolded = bytes;
    }

    /// Returns the row of a user; `None` if the user has no frame.
    pub(super) fn row(&self, user: &UserId) -> Option<RowId> {
        self.0.lock().rows.get(user).copied()
    }

    /// Returns the number of a user's frames.
    pub(super) fn frames(&self, user: &UserId) -> usize {
        self.0.lock().frames.get(user).map_or(0, Vec::len)
    }

    /// Returns how many records were refused, as they were out of sequence.
    pub(super) fn refused(&self) -> usize {
        self.0.lock().refused
    }

    /// Returns a user's durable states by sequence, replayed from the frames. `from` are the first ones, which are known
    /// already.
    pub(super) fn states(&self, user: &UserId, from: Vec<UserState>) -> Vec<UserState> {
        let log = self.0.lock();
        let frames = log.frames.get(user).map_or(&[][..], Vec::as_slice);
        let mut states = from;
        for frame in &frames[states.len()..] {
            let state = record::replay(states.last().cloned(), frame).expect("the frames continue each other");
            states.push(state);
        }
        states
    }

    /// Returns what each of a user's frames leads to, oldest first: a state, or `None` after an erasure.
    pub(super) fn lives(&self, user: &UserId) -> Vec<Option<UserState>> {
        let log = self.0.lock();
        let mut states: Vec<Option<UserState>> = Vec::new();
        for frame in log.frames.get(user).into_iter().flatten() {
            let before = states.last().cloned().flatten();
            let is_erasure = frame.kind == RecordKind::ERASURE;
            let replayed =
                (!is_erasure).then(|| record::replay(before, frame).expect("the frames continue each other"));
            states.push(replayed);
        }
        states
    }

    /// Returns the causes of a user's revisions, oldest first.
    pub(super) fn causes(&self, user: &UserId) -> Vec<record::Cause> {
        let log = self.0.lock();
        let origins =
            log.frames[user].iter().filter_map(|frame| record::BlockRecord::from(frame).origin().expect("a change"));
        origins.map(|origin| origin.cause).collect()
    }

    /// Lets the journal work again. Of the records of unknown fate, the first `kept` turn out to be durable.
    pub(super) fn restart(&self, kept: usize) {
        let mut log = self.0.lock();
        log.refuses = false;
        log.while_syncing = SyncHook::default();
        log.fate = Fate::Taken;
        for record in std::mem::take(&mut log.of_unknown_fate).into_iter().take(kept) {
            let frames = log.frames.entry(record.user).or_default();
            if frames.len() as u64 + 1 == record.sequence {
                let place = (record.user, record.sequence);
                frames.push(record);
                log.order.push(place);
                log.row(&place.0);
            }
        }
    }
}

impl Journal for RamStore {
    fn append(&mut self, group: &[Record]) -> Result<Vec<AppendResult>, JournalError> {
        let hook = self.0.lock().while_syncing.0.take();
        hook.into_iter().for_each(|hook| hook());
        let mut log = self.0.lock();
        let fate = std::mem::take(&mut log.fate);
        if log.refuses {
            return Err(JournalError::UnknownFate(io::Error::other("refuses until restart")));
        }
        match fate {
            Fate::Taken => {}
            Fate::NotTaken => return Err(JournalError::NotTaken(io::Error::other("disk full"))),
            Fate::Unknown => {
                log.refuses = true;
                log.of_unknown_fate = group.to_vec();
                return Err(JournalError::UnknownFate(io::Error::other("fdatasync failed")));
            }
            Fate::Panics => panic!("injected"),
        }
        let take = |record: &Record| {
            let frames = log.frames.entry(record.user).or_default();
            let expected = frames.len() as u64 + 1;
            let generation =
                frames.last().map_or(1, |last| last.generation + u32::from(last.kind == RecordKind::ERASURE));
            if (record.sequence, record.generation) == (expected, generation) {
                frames.push(record.clone());
                log.order.push((record.user, record.sequence));
                return Ok(log.row(&record.user));
            }
            log.refused += 1;
            Err(OutOfSequence { expected })
        };
        Ok(group.iter().map(take).collect())
    }
}

impl ProfileStore for RamStore {
    /// Returns half of the frames as a checkpoint.
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        self.load_history(user, 0, visitor)
    }

    fn load_history(
        &self,
        user: &UserId,
        _: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        let log = self.0.lock();
        let frames = match log.generation(user) {
            None => return Ok(None),
            Some(Err(tombstone)) => return Ok(Some(LoadedUser::Erased { row: log.known_row(user), tombstone })),
            Some(Ok(frames)) => frames,
        };
        let (old, new) = frames.split_at(frames.len() / 2);
        let state = if old.is_empty() { None } else { Some(record::Replay.replay(None, old)?) };
        visitor.checkpoint(state.clone())?;
        if let Some(state) = state {
            let records = record::Replay.keep_history(&state, None, old)?.put;
            let of_kind = |kind| records.iter().filter(move |record| Some(record.key.kind) == kind).cloned();
            of_kind(visitor.side_kind()).try_for_each(|record| visitor.side_record(record))?;
            if visitor.needs_history() {
                of_kind(Some(SideKind::HISTORY)).try_for_each(|block| visitor.block(&block.body))?;
            }
        }
        new.iter().try_for_each(|record| visitor.frame(record))?;
        Ok(Some(LoadedUser::Living { row: log.known_row(user), sequence: log.newest(user).sequence }))
    }

    fn unfolded_bytes(&self) -> u64 {
        self.0.lock().unfolded
    }
}

/// Nothing is saved. A scan has a part for each user.
impl ProjectionStore for RamStore {
    fn saved(&self, _: u32) -> Option<Box<dyn SavedProjection>> {
        None
    }

    fn scan(&self, _: Option<LogPosition>) -> Result<Box<dyn UserScan>, StoreError> {
        let users: Vec<_> = self.0.lock().rows.keys().copied().collect();
        Ok(Box::new(RamScan { store: self.clone(), users }))
    }
}

struct RamScan {
    store: RamStore,
    users: Vec<UserId>,
}

impl UserScan for RamScan {
    fn parts(&self) -> usize {
        self.users.len()
    }

    fn rows(&self) -> &[RowId] {
        &[]
    }

    fn visit(&self, part: usize, visit: &mut dyn FnMut(Result<VisitedUser, StoreError>)) -> Result<(), StoreError> {
        let (log, user) = (self.store.0.lock(), &self.users[part]);
        let row = log.known_row(user);
        let visited = match log.generation(user) {
            None => return Ok(()),
            Some(Err(tombstone)) => VisitedUser::Erased(row, tombstone),
            Some(Ok(frames)) => {
                let (old, new) = frames.split_at(frames.len() / 2);
                let packed = if old.is_empty() { None } else { Some(record::Replay.replay(None, old)?) };
                VisitedUser::Living(StoredState { row, packed, frames: new.to_vec() })
            }
        };
        drop(log);
        visit(Ok(visited));
        Ok(())
    }
}

/// A position is the number of the frames before it.
impl EventLog for RamStore {
    fn end(&self) -> LogPosition {
        LogPosition(self.0.lock().order.len() as u64)
    }

    fn oldest(&self) -> LogPosition {
        LogPosition(0)
    }

    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError> {
        let log = self.0.lock();
        let end = up_to.0.min(log.order.len() as u64);
        if from.0 > log.order.len() as u64 {
            return Err(LogError::Nowhere);
        }
        let mut batch = LogBatch { next: from, ..LogBatch::default() };
        let mut bytes = 0;
        for at in from.0..end {
            let (user, sequence) = log.order[at as usize];
            let frames = &log.frames[&user];
            let record = frames[sequence as usize - 1].clone();
            bytes += record.body.len();
            if bytes > max_bytes && !batch.entries.is_empty() {
                break;
            }
            batch.next = LogPosition(at + 1);
            let (at, newest) = (LogPosition(at), log.newest(&user));
            batch.entries.push(LogEntry { at, origin: at, next: batch.next, newest, record });
        }
        Ok(batch)
    }

    fn newest(&self, user: &UserId) -> Result<NewestRecord, StoreError> {
        Ok(self.0.lock().newest(user))
    }
}
