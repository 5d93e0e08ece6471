//! Checkpoints: the frames of the journal are folded into sled, so that old segments can be removed.
//!
//! A crash at any point loses nothing. A user's record says which sequence is folded into it, so frames that were folded
//! already are skipped, and the journal keeps every frame until the meta record says, durably, that sled has it.

mod cut;
mod fold;
mod from_backup;
mod pace;
mod quarantine;
mod release;
mod thinning;
mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::port::memory::CommittedStates;
use domain::port::projection::ProjectionSource;
use domain::port::store::{Fold, StoreError};
use parking_lot::{Mutex, MutexGuard};

pub(crate) use cut::CutPoint;
pub(crate) use thread::CheckpointThread;

use crate::disk::is_full;
use crate::engine::Engine;
use crate::journal::{Position, SegmentRetention};
use crate::options::StoreOptions;
use crate::projection::{ProjectionFile, SavePace};
use crate::retention_clock::RetentionClock;
use crate::sled_store::Meta;
use pace::Pace;
use thinning::Thinning;

/// Users that are written in one batch. Readers of sled wait while a batch is applied, so it is small.
const BATCH_USERS: usize = 64;
/// Bytes of users that are written before the next flush. sled's threads that write its log take a mutex that a writer
/// holds while it waits for another of their jobs; all of them can wait for it while few buffers wait to be written, and
/// then they wait for ever (sled 0.34.7, whose pool of seven threads does not grow). With frequent flushes, never more
/// than a few buffers wait.
const FLUSH_BYTES: usize = 256 << 10;

/// Why a checkpoint did not finish. Nothing is lost: the journal keeps the frames that it was to fold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error("a user could not be folded: {0}")]
    Fold(#[from] StoreError),
    #[error("sled failed: {0}")]
    Sled(#[from] sled::Error),
    #[error("old segments could not be removed: {0}")]
    Segments(#[source] std::io::Error),
    #[error("there is no disk space to reopen sled if a write fails: {0}")]
    NoReserve(#[source] std::io::Error),
    #[error("it panicked")]
    Panicked,
}

/// Folds the users that have new frames into sled.
pub(crate) struct Checkpointer {
    engine: Arc<Engine>,
    fold: Arc<dyn Fold>,
    /// What memory holds, once it is known.
    committed_states: OnceLock<Arc<dyn CommittedStates>>,
    interval: Duration,
    users_per_second: u32,
    retain_journal_bytes: u64,
    retain_journal: Duration,
    known_users: usize,
    projection: Arc<ProjectionFile>,
    /// What the file is written from, once it is known.
    projection_source: OnceLock<Arc<dyn ProjectionSource>>,
    thinning: Thinning,
    /// All frames before this position are in sled. Locked while a checkpoint runs, because two at once would overwrite
    /// each other's records.
    folded_to: Mutex<Position>,
}

impl Checkpointer {
    pub(crate) fn new(
        engine: Arc<Engine>,
        fold: Arc<dyn Fold>,
        projection: Arc<ProjectionFile>,
        options: &StoreOptions,
        folded_to: Position,
    ) -> Self {
        Self {
            thinning: Thinning::new(options, &engine),
            engine,
            fold,
            committed_states: OnceLock::new(),
            interval: options.checkpoint_interval,
            users_per_second: options.checkpoint_users_per_second,
            retain_journal_bytes: options.retain_journal_bytes,
            retain_journal: options.retain_journal,
            known_users: options.known_users,
            projection,
            projection_source: OnceLock::new(),
            folded_to: Mutex::new(folded_to),
        }
    }

    /// Waits until no checkpoint runs, and keeps others from running. Returns `None` if one still runs after `longest`.
    pub(crate) fn lock_out(&self, longest: Duration) -> Option<MutexGuard<'_, Position>> {
        self.engine.checkpoint_trigger.hurry(|| self.folded_to.try_lock_for(longest))
    }

    /// Takes states from memory from now on. Only the first call counts.
    pub(crate) fn use_committed_states(&self, states: Arc<dyn CommittedStates>) {
        let _ = self.committed_states.set(states);
    }

    /// Saves a projection from now on. Only the first call counts.
    pub(crate) fn save_projection(&self, source: Arc<dyn ProjectionSource>) {
        let _ = self.projection_source.set(source);
    }

    /// Seals the saved projection under a new key and destroys the old one. What was saved before cannot be read any more
    /// when it returns, and the projection is saved anew if it is complete.
    pub(crate) fn reseal_projection(&self) -> Result<(), StoreError> {
        let folded_to = self.folded_to.lock();
        self.projection.replace_key()?;
        self.save(*folded_to, || true);
        Ok(())
    }

    /// Saves the projection, so that the next start can use it with the frames after `folded`. A failure costs only a slower
    /// start.
    fn save(&self, folded: Position, hurry: impl Fn() -> bool) {
        let Some(source) = self.projection_source.get() else { return };
        let is_late = || self.engine.checkpoint_trigger.is_out_of_time();
        if let Err(error) = self.projection.save(&**source, folded, SavePace { hurry: &hurry, is_late: &is_late }) {
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(error = cause, "the columns were not saved");
        }
    }

    /// Folds every user that has new frames, and returns the position before which all frames are in sled; `None` if the
    /// store closes and has no more time. `hurry` is asked after each batch whether to continue without a pause.
    pub(crate) fn run(&self, hurry: impl Fn() -> bool) -> Result<Option<Position>, CheckpointError> {
        let mut folded_to = self.folded_to.lock();
        // Read before the end of the journal: bytes that are counted later may come after it.
        let count = self.engine.checkpoint_trigger.appended_bytes();
        let fold = AssertUnwindSafe(|| self.fold_users(*folded_to, hurry));
        // A panic must not end the thread, or the journal would grow until the disk is full.
        let end = catch_unwind(fold).unwrap_or(Err(CheckpointError::Panicked));
        let Some(end) = end.inspect_err(|error| self.after_failure(error))? else { return Ok(None) };
        // The frames are folded, whether or not their segments can be removed.
        self.engine.checkpoint_trigger.set_folded(count);
        *folded_to = end;
        let remove = AssertUnwindSafe(|| self.remove_old_segments(end));
        let removed = catch_unwind(remove).unwrap_or(Err(CheckpointError::Panicked));
        self.engine.measure();
        removed.inspect_err(|error| self.after_failure(error))?;
        self.engine.status.set_checkpoint(None);
        Ok(Some(end))
    }

    fn fold_users(&self, from: Position, hurry: impl Fn() -> bool) -> Result<Option<Position>, CheckpointError> {
        let engine = &*self.engine;
        // Read before the users, because the index has all frames before this position.
        let end = engine.durable_end();
        let users = engine.index.users_since(from);
        if users.is_empty() && end == from {
            // There may be dead letters to flush, and segments that are too old by now.
            engine.sled.flush()?;
            self.save(end, hurry);
            return Ok(Some(end));
        }
        self.ensure_reserve()?;
        let pace = Pace::new(users.len(), self.interval, self.users_per_second);
        let (mut folded_users, mut unflushed) = (0, 0);
        for batch in users.chunks(BATCH_USERS) {
            if engine.checkpoint_trigger.is_out_of_time() {
                // The users that were written skip their frames in the next checkpoint. The journal keeps those of the rest.
                engine.sled.flush()?;
                let left = users.len() - folded_users;
                tracing::info!(
                    "no more time to write {left} of {} users: the next start finds them in the journal",
                    users.len()
                );
                return Ok(None);
            }
            let mut folded = Vec::with_capacity(batch.len());
            for user in batch {
                let Some(newest) = engine.index.get(user) else { continue };
                match self.fold_user(user, newest) {
                    Ok(user) => folded.extend(user),
                    // One damaged user must not keep the segments with the frames of all others.
                    Err(StoreError::Damaged { what }) => self.quarantine(user, newest, from, &what)?,
                    Err(error) => return Err(error.into()),
                }
            }
            unflushed += engine.sled.write(&folded)?;
            if unflushed >= FLUSH_BYTES {
                engine.sled.flush()?;
                unflushed = 0;
            }
            folded_users += batch.len();
            if !hurry() {
                pace.pause(folded_users);
            }
        }
        engine.sled.flush()?;
        // Before the checkpoint counts: then the journal knows every user whose frames the saved projection may lack.
        self.save(end, hurry);
        engine.sled.set_meta(&self.meta(end, None))?;
        engine.index.forget_before(end, self.known_users);
        Ok(Some(end))
    }

    /// Removes the segments before `end` that exceed the configured retention.
    fn remove_old_segments(&self, end: Position) -> Result<(), CheckpointError> {
        let age = i64::try_from(self.retain_journal.as_micros()).unwrap_or(i64::MAX);
        let clock = self.engine.retention_clock.as_ref();
        let since = clock.map_or(i64::MIN, |clock| clock.now().saturating_sub(age));
        let keep = SegmentRetention { bytes: self.retain_journal_bytes, since };
        self.engine.segments.set_folded(end.segment);
        self.engine.segments.remove_folded(keep).map(drop).map_err(CheckpointError::Segments)
    }

    /// Makes sure that the reserve is there before anything is written to sled: if a write fails, sled has to be reopened,
    /// which takes disk space and descriptors.
    fn ensure_reserve(&self) -> Result<(), CheckpointError> {
        let sled = &self.engine.sled;
        let mut held = sled.ensure_reserve();
        if held.as_ref().is_err_and(is_full) && self.engine.free_follower_segments() {
            held = sled.ensure_reserve();
        }
        held.map_err(CheckpointError::NoReserve)
    }

    /// Reports a failed checkpoint, and reopens sled if sled failed: it does not recover from an I/O error by itself.
    fn after_failure(&self, error: &CheckpointError) {
        let engine = &*self.engine;
        engine.status.set_checkpoint(Some(format!("a checkpoint failed: {error}")));
        let sled_failed = !matches!(
            error,
            CheckpointError::Fold(StoreError::Damaged { .. })
                | CheckpointError::NoReserve(_)
                | CheckpointError::Segments(_)
        );
        if !sled_failed && engine.sled.is_open() {
            return;
        }
        if let CheckpointError::Sled(sled::Error::Io(error)) = error
            && is_full(error)
        {
            engine.free_follower_segments();
        }
        match engine.sled.reopen() {
            Ok(()) => tracing::warn!("sled failed ({error}) and was reopened"),
            Err(again) => tracing::error!("sled failed ({error}) and could not be reopened: {again}"),
        }
        let closed = || format!("sled failed ({error}) and could not be reopened");
        engine.status.set_unreadable((!engine.sled.is_open()).then(closed));
        engine.upkeep_signal.set();
    }

    /// Makes the last checkpoint, after which nothing is appended, so that the next start has nothing to recover. If there is
    /// no time for all users, the next start recovers the rest, as after a crash.
    pub(crate) fn run_last(&self) -> Result<(), CheckpointError> {
        let is_complete = match self.run(|| true) {
            Err(error @ CheckpointError::Segments(_)) => {
                tracing::warn!("the last checkpoint is complete, but {error}");
                true
            }
            other => other?.is_some(),
        };
        let engine = &*self.engine;
        // After a failed append, or if frames are left, the journal may have frames whose slots nothing else refers to.
        let clean = is_complete && !engine.status.is_refusing();
        let first_unused_slot = clean.then(|| engine.keyring.first_unused());
        let checkpoint = *self.folded_to.lock();
        Ok(engine.sled.set_meta(&self.meta(checkpoint, first_unused_slot))?)
    }

    fn meta(&self, checkpoint: Position, first_unused_slot: Option<u32>) -> Meta {
        let clock_minutes = self.engine.retention_clock.as_ref().map_or(0, RetentionClock::minutes);
        Meta { epoch: self.engine.segments.epoch(), checkpoint, first_unused_slot, clock_minutes }
    }
}
