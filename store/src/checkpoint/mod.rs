//! Checkpoints: what the journal holds is folded into sled, so that the journal may let go of it.
//!
//! A crash at any point is harmless. A fold counts its frames by their sequence, so what was folded is skipped when it
//! comes again, and the journal keeps everything until the meta record says, durably, that sled has it.

mod bell;
mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::store::{Fold, Folded, HistoryBlock, StoreError};
use parking_lot::Mutex;

pub(crate) use bell::Bell;
pub(crate) use thread::CheckpointThread;

use crate::journal::Position;
use crate::options::Options;
use crate::seal::kind;
use crate::shared::Shared;
use crate::sled_store::{FoldedUser, Meta, SealedRecord};
use crate::user_hash::UserHash;

/// Users whose states change in one batch. sled's readers wait while a batch is applied, so it is small.
const BATCH_USERS: usize = 64;
/// A checkpoint is never paced below this.
const MIN_USERS_PER_SECOND: f64 = 5_000.0;

/// A checkpoint that did not finish. Nothing is lost: the journal keeps what it was to fold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error("a user could not be folded: {0}")]
    Fold(#[from] StoreError),
    #[error("sled failed: {0}")]
    Sled(#[from] sled::Error),
    #[error("old segments could not be removed: {0}")]
    Segments(#[source] std::io::Error),
}

/// Folds dirty users into sled.
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    fold: Arc<dyn Fold>,
    interval: Duration,
    users_per_second: u32,
    retain_journal_bytes: u64,
    /// One at a time: a fold relies on nobody else changing what it read.
    running: Mutex<()>,
}

impl Checkpointer {
    pub(crate) fn new(shared: Arc<Shared>, fold: Arc<dyn Fold>, options: &Options) -> Self {
        Self {
            shared,
            fold,
            interval: options.checkpoint_interval,
            users_per_second: options.checkpoint_users_per_second,
            retain_journal_bytes: options.retain_journal_bytes,
            running: Mutex::new(()),
        }
    }

    /// Folds every user that is dirty now, and says up to where the journal is in sled. `hurry` says, again and again,
    /// whether to go on without pauses.
    pub(crate) fn run(&self, hurry: impl Fn() -> bool) -> Result<Position, CheckpointError> {
        let _one = self.running.lock();
        let shared = &*self.shared;
        // Read before the users: the index holds all frames before it.
        let end = shared.durable_end();
        let users = shared.index.users();
        let pace = Pace::new(users.len(), self.interval, self.users_per_second);
        let mut folded_users = 0;
        let mut failed = None;
        for batch in users.chunks(BATCH_USERS) {
            let mut folded = Vec::with_capacity(batch.len());
            for user in batch {
                match self.fold_user(user) {
                    Ok(user) => folded.extend(user),
                    // The others are folded all the same, but the journal keeps what it has.
                    Err(error @ StoreError::Damaged { .. }) => failed = Some(error),
                    Err(error) => return Err(error.into()),
                }
            }
            shared.sled.write(&folded)?;
            folded_users += batch.len();
            if !hurry() {
                pace.pause(folded_users);
            }
        }
        shared.sled.flush()?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        shared.sled.set_meta(&Meta { epoch: shared.segments.epoch(), checkpoint: end, first_unused_slot: None })?;
        shared.index.forget_before(end);
        shared.segments.drop_before(end.segment, self.retain_journal_bytes).map_err(CheckpointError::Segments)?;
        shared.metrics.journal_bytes.set(shared.segments.bytes() as f64);
        shared.metrics.keyring_bytes.set(shared.keyring.bytes() as f64);
        shared.metrics.sled_bytes.set(shared.sled.bytes() as f64);
        Ok(end)
    }

    /// The last checkpoint, after which nothing is appended: the next start finds nothing to do.
    pub(crate) fn run_last(&self) -> Result<(), CheckpointError> {
        let checkpoint = self.run(|| true)?;
        let shared = &*self.shared;
        // After a failed append, frames may be in the journal whose slots nothing else refers to.
        let clean = !shared.status.is_refusing();
        let first_unused_slot = clean.then(|| shared.keyring.first_unused());
        let meta = Meta { epoch: shared.segments.epoch(), checkpoint, first_unused_slot };
        Ok(shared.sled.set_meta(&meta)?)
    }

    fn fold_user(&self, user: &UserHash) -> Result<Option<FoldedUser>, StoreError> {
        let shared = &*self.shared;
        let before = shared.sled.parts(user)?;
        let Some(loaded) = shared.load_after(user, before.state.as_ref())? else { return Ok(None) };
        if loaded.frames.is_empty() {
            return Ok(None);
        }
        let key = &loaded.key;
        let tail =
            before.tail.as_ref().map(|tail| shared.sled.open_record(key, kind::HISTORY_TAIL, tail)).transpose()?;
        let fold = || self.fold.fold(loaded.state.as_deref(), tail.as_deref(), &loaded.frames);
        // Rule code runs in the fold; its panic must not end all checkpoints.
        let Folded { state, closed, tail } = catch_unwind(AssertUnwindSafe(fold)).unwrap_or_else(|_| {
            Err(StoreError::Damaged { what: format!("the frames of slot {}: their fold panics", loaded.slot) })
        })?;

        let seal = |kind, number, body: &[u8]| {
            let record = SealedRecord::unsealed(loaded.slot, loaded.generation, number);
            shared.sled.seal(key, kind, body, record, &*shared.entropy)
        };
        let seal_block = |HistoryBlock { first_revision, body }| seal(kind::HISTORY_BLOCK, first_revision, &body);
        Ok(Some(FoldedUser {
            user: *user,
            state: seal(kind::STATE, loaded.sequence, &state)?,
            tail: (!tail.is_empty()).then(|| seal(kind::HISTORY_TAIL, loaded.sequence, &tail)).transpose()?,
            closed: closed.into_iter().map(seal_block).collect::<Result<_, _>>()?,
            before,
        }))
    }
}

/// Spreads a checkpoint over half of the interval, so that it never takes the disk and a core for itself.
struct Pace {
    start: Instant,
    users_per_second: f64,
}

impl Pace {
    fn new(users: usize, interval: Duration, bound: u32) -> Self {
        let relaxed = users as f64 / (interval.as_secs_f64() / 2.0).max(0.001);
        let users_per_second = relaxed.max(MIN_USERS_PER_SECOND).min(f64::from(bound.max(1)));
        Self { start: Instant::now(), users_per_second }
    }

    fn pause(&self, done: usize) {
        let due = Duration::from_secs_f64(done as f64 / self.users_per_second);
        std::thread::sleep(due.saturating_sub(self.start.elapsed()));
    }
}
