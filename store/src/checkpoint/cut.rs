//! The moment of a backup: sled has every frame that is durable, and no other.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use domain::port::store::StoreError;

use super::{BATCH_USERS, CheckpointError, Checkpointer, FLUSH_BYTES};
use crate::journal::Position;
use crate::retention_clock::RetentionClock;

/// Appends are held up only when at most this many users are still to be folded, which takes some milliseconds.
const FEW_USERS: usize = 256;
/// Each pass has about half as many users as the one before. After so many, what is left is little even of ten million.
const MAX_PASSES: usize = 16;
/// How long appends have the journal for themselves before a pass may hold them up again.
const APPEND_TURN: Duration = Duration::from_millis(1);

/// What is known about the moment of a backup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutPoint {
    /// All frames before this position are in sled, and no others.
    pub(crate) position: Position,
    /// What the retention clock shows, in minutes since the Unix epoch; 0 if not known.
    pub(crate) clock_minutes: u32,
}

/// What happens to appends while users are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appends {
    /// Between two groups, at least twice as many users are folded as the groups so far have records. Otherwise a busy feed
    /// could dirty users as fast as they are folded.
    Slowed,
    /// The caller holds them up.
    Stopped,
}

impl Checkpointer {
    /// Folds everything that is durable, and calls `begin` while nothing can be appended and no checkpoint runs. Most of the
    /// work is done before, beside appends, which are slowed down so that it comes to an end: each group waits for about twice
    /// as many users to be folded as it has records.
    pub(crate) fn cut<T>(&self, begin: impl FnOnce(CutPoint) -> T) -> Result<T, CheckpointError> {
        let begun = match self.run(|| true)? {
            Some(_) => self.cut_after_checkpoint(begin).inspect_err(|error| self.after_failure(error))?,
            None => None,
        };
        let stopping = || StoreError::Unavailable { doing: "making a backup", source: "the server is stopping".into() };
        begun.ok_or_else(|| stopping().into())
    }

    /// Returns `None` if the store closes, which no backup may hold up.
    fn cut_after_checkpoint<T>(&self, begin: impl FnOnce(CutPoint) -> T) -> Result<Option<T>, CheckpointError> {
        let engine = &*self.engine;
        let folded_to = self.folded_to.lock();
        self.ensure_reserve()?;
        let mut from = *folded_to;
        for _ in 0..MAX_PASSES {
            let end = engine.durable_end();
            let Some(users) = self.fold_ahead(from, *folded_to, Appends::Slowed)? else { return Ok(None) };
            from = end;
            if users <= FEW_USERS {
                break;
            }
        }
        let appends = engine.append_gate.lock();
        if self.fold_ahead(from, *folded_to, Appends::Stopped)?.is_none() {
            return Ok(None);
        }
        let clock_minutes = engine.retention_clock.as_ref().map_or(0, RetentionClock::minutes);
        let begun = begin(CutPoint { position: engine.durable_end(), clock_minutes });
        drop(appends);
        engine.sled.flush()?;
        Ok(Some(begun))
    }

    /// Folds the users with frames from `from` on, and returns how many there are; `None` if the store closes. It counts as no
    /// checkpoint: the next one, which begins at `checkpoint`, finds that these frames are folded already.
    fn fold_ahead(
        &self,
        from: Position,
        checkpoint: Position,
        appends: Appends,
    ) -> Result<Option<usize>, CheckpointError> {
        let engine = &*self.engine;
        let begun = engine.appended_records.load(Ordering::Relaxed);
        let users = engine.index.users_since(from);
        let (mut unflushed, mut done, mut held) = (0, 0, None);
        let is_ahead = |done| 2 * (engine.appended_records.load(Ordering::Relaxed) - begun) <= done;
        for batch in users.chunks(BATCH_USERS) {
            if engine.checkpoint_trigger.is_closing() {
                return Ok(None);
            }
            if appends == Appends::Slowed {
                if !is_ahead(done) {
                    held.get_or_insert_with(|| engine.append_gate.lock());
                } else if held.take().is_some() {
                    thread::sleep(APPEND_TURN);
                }
            }
            done += batch.len() as u64;
            let mut folded = Vec::with_capacity(batch.len());
            for user in batch {
                let Some(newest) = engine.index.get(user) else { continue };
                match self.fold_user(user, newest) {
                    Ok(user) => folded.extend(user),
                    Err(StoreError::Damaged { what }) => self.quarantine(user, newest, checkpoint, &what)?,
                    Err(error) => return Err(error.into()),
                }
            }
            unflushed += engine.sled.write(&folded)?;
            if unflushed >= FLUSH_BYTES {
                // Appends wait for a flush only while they are ahead: a flush may take as long as many of their groups.
                held = held.filter(|_| !is_ahead(done));
                engine.sled.flush()?;
                unflushed = 0;
            }
        }
        Ok(Some(users.len()))
    }
}
