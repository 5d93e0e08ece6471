//! A journal and store in RAM whose commits can be made to fail, a clock that stands still, and random from a seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::id::UserId;
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::{Journal, JournalError, OutOfSequence, Record};
use domain::port::log::{EventLog, LogBatch, LogEntry, LogError, LogPosition};
use domain::port::store::{Checkpointed, Fold, LoadVisitor, ProfileStore, StoreError};
use domain::record;
use domain::splitmix64;
use domain::state::UserState;
use parking_lot::Mutex;

/// What becomes of the next group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Taken,
    NotTaken,
    Unknown,
    Panics,
}

/// The durable harness: it outlives the actors.
#[derive(Debug, Default, Clone)]
pub(super) struct RamStore(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    frames: BTreeMap<UserId, Vec<Vec<u8>>>,
    /// Whose frames came, in order.
    order: Vec<(UserId, u64)>,
    fate: Fate,
    /// What was written with an unknown fate: a restart decides.
    limbo: Vec<(UserId, u64, Vec<u8>)>,
    refuses: bool,
    refused: usize,
    while_syncing: Interlude,
    unfolded: u64,
}

/// What happens elsewhere while a group is on its way.
#[derive(Default)]
struct Interlude(Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for Interlude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interlude")
    }
}

impl RamStore {
    pub(super) fn set_fate(&self, fate: Fate) {
        self.0.lock().fate = fate;
    }

    /// Does something during the next sync.
    pub(super) fn while_syncing(&self, interlude: impl FnOnce() + Send + 'static) {
        self.0.lock().while_syncing = Interlude(Some(Box::new(interlude)));
    }

    /// Says how far the checkpoint is behind.
    pub(super) fn set_unfolded(&self, bytes: u64) {
        self.0.lock().unfolded = bytes;
    }

    /// How many frames a user has.
    pub(super) fn frames(&self, user: &UserId) -> usize {
        self.0.lock().frames.get(user).map_or(0, Vec::len)
    }

    pub(super) fn refused(&self) -> usize {
        self.0.lock().refused
    }

    /// A user's durable states by sequence, from 1, replayed from the frames.
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

    /// The journal works again, and a prefix of what was in limbo turns out to be there.
    pub(super) fn restart(&self, kept: usize) {
        let mut log = self.0.lock();
        log.refuses = false;
        log.while_syncing = Interlude::default();
        log.fate = Fate::Taken;
        for (user, sequence, body) in std::mem::take(&mut log.limbo).into_iter().take(kept) {
            let frames = log.frames.entry(user).or_default();
            if frames.len() as u64 + 1 == sequence {
                frames.push(body);
                log.order.push((user, sequence));
            }
        }
    }
}

impl Journal for RamStore {
    fn append(&mut self, group: &[Record]) -> Result<Vec<Result<(), OutOfSequence>>, JournalError> {
        let interlude = self.0.lock().while_syncing.0.take();
        interlude.into_iter().for_each(|interlude| interlude());
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
                log.limbo = group.iter().map(|record| (record.user, record.sequence, record.body.clone())).collect();
                return Err(JournalError::UnknownFate(io::Error::other("fdatasync failed")));
            }
            Fate::Panics => panic!("injected"),
        }
        let take = |record: &Record| {
            let frames = log.frames.entry(record.user).or_default();
            let expected = frames.len() as u64 + 1;
            if record.sequence == expected {
                frames.push(record.body.clone());
                log.order.push((record.user, record.sequence));
                return Ok(());
            }
            log.refused += 1;
            Err(OutOfSequence { expected })
        };
        Ok(group.iter().map(take).collect())
    }
}

impl ProfileStore for RamStore {
    /// Half of the frames come as a checkpoint.
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<u64>, StoreError> {
        self.load_history(user, 0, visitor)
    }

    fn load_history(&self, user: &UserId, _: u64, visitor: &mut dyn LoadVisitor) -> Result<Option<u64>, StoreError> {
        let log = self.0.lock();
        let Some(frames) = log.frames.get(user).filter(|frames| !frames.is_empty()) else { return Ok(None) };
        let (old, new) = frames.split_at(frames.len() / 2);
        let folded = if old.is_empty() { None } else { Some(record::Replay.fold(None, None, old)?) };
        let (mut checkpointed, mut blocks) = (Checkpointed::default(), Vec::new());
        if let Some(folded) = folded {
            (checkpointed, blocks) = (Checkpointed { state: Some(folded.state), tail: folded.tail }, folded.closed);
        }
        visitor.checkpoint(checkpointed)?;
        blocks.iter().rev().try_for_each(|block| visitor.block(&block.body))?;
        new.iter().try_for_each(|frame| visitor.frame(frame))?;
        Ok(Some(frames.len() as u64))
    }

    fn unfolded_bytes(&self) -> u64 {
        self.0.lock().unfolded
    }
}

/// A place is the number of the frames before it.
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
            let body = frames[sequence as usize - 1].clone();
            bytes += body.len();
            if bytes > max_bytes && !batch.entries.is_empty() {
                break;
            }
            batch.next = LogPosition(at + 1);
            let (at, newest) = (LogPosition(at), frames.len() as u64);
            batch.entries.push(LogEntry { at, origin: at, next: batch.next, sequence, newest, body });
        }
        Ok(batch)
    }

    fn newest(&self, user: &UserId) -> Result<u64, StoreError> {
        Ok(self.0.lock().frames.get(user).map_or(0, |frames| frames.len() as u64))
    }
}

/// A clock that is set.
#[derive(Debug)]
pub(super) struct ManualClock(pub(super) AtomicI64);

impl Clock for ManualClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that count.
#[derive(Debug, Default)]
pub(super) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = count[index % 8]);
    }
}

/// SplitMix64: random from a seed.
#[derive(Debug, Clone)]
pub(super) struct SeededRandom(pub(super) u64);

impl SeededRandom {
    fn next(&mut self) -> u64 {
        splitmix64::next(&mut self.0)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}
