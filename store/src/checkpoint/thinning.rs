//! Thinning of histories in the background: between checkpoints, user by user in the order of their hashes.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::retention::{HistoryRetention, SideRecords};
use domain::port::store::{SideChanges, SideKey, SideKind, SideRecord, StoreError};
use parking_lot::Mutex;

use super::{CheckpointError, Checkpointer, FLUSH_BYTES};
use crate::engine::{Engine, KeyFault};
use crate::load::History;
use crate::options::StoreOptions;
use crate::seal::kind;
use crate::sled_store::{FoldedUser, ScannedUser, SealedRecord};
use crate::user_hash::UserHash;

/// Users that are looked for at once.
const SCANNED_USERS: usize = 64;

/// How far the thinning has come.
pub(super) struct Thinning {
    retention: Option<Arc<dyn HistoryRetention>>,
    /// The time that a pass over all users takes.
    pass: Duration,
    progress: Mutex<Progress>,
}

struct Progress {
    started: Instant,
    /// Where the pass began: at a random user, so that frequent restarts do not always leave the same ones out.
    origin: u64,
    /// How far it has come from there, as a part of 2^64.
    done: u64,
}

impl Thinning {
    pub(super) fn new(options: &StoreOptions, engine: &Engine) -> Self {
        let mut origin = [0; 8];
        engine.entropy.fill(&mut origin);
        let progress = Progress { started: Instant::now(), origin: u64::from_le_bytes(origin), done: 0 };
        let (retention, pass) = (options.retention.clone(), options.thinning_pass);
        Self { retention, pass, progress: Mutex::new(progress) }
    }
}

impl Progress {
    /// Returns how far the pass should have come by now.
    fn target(&self, pass: Duration) -> u64 {
        let part = self.started.elapsed().as_secs_f64() / pass.as_secs_f64().max(0.001);
        // The greatest numbers become u64::MAX.
        (part * u64::MAX as f64) as u64
    }

    /// Returns the hashes between two parts of a pass, as one range, or two where the pass goes over the greatest hash.
    fn ranges(&self, to: u64) -> Vec<(u64, u64)> {
        let (start, end) = (self.origin.wrapping_add(self.done), self.origin.wrapping_add(to));
        if start <= end { vec![(start, end)] } else { vec![(start, u64::MAX), (0, end)] }
    }
}

/// Returns the first hash that begins with a number.
fn hash_from(first: u64) -> UserHash {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    UserHash(bytes)
}

/// Returns the number that a hash begins with.
fn first_number(user: &UserHash) -> u64 {
    user.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Checkpointer {
    /// Thins the histories of the users that are due by now, so that a pass over all users takes the configured time.
    /// `must_end` is asked between users.
    pub(super) fn thin_some(&self, must_end: impl Fn() -> bool) -> Result<(), CheckpointError> {
        let mut progress = self.thinning.progress.lock();
        let target = progress.target(self.thinning.pass);
        if target == progress.done {
            return Ok(());
        }
        for (start, end) in progress.ranges(target) {
            if let Some(reached) = self.thin_range(start, end, &must_end)? {
                progress.done = reached.wrapping_sub(progress.origin);
                return Ok(());
            }
        }
        progress.done = target;
        if target == u64::MAX {
            (progress.started, progress.done) = (Instant::now(), 0);
        }
        Ok(())
    }

    /// Thins the histories of all users now.
    pub(super) fn thin_all(&self) -> Result<(), CheckpointError> {
        self.thin_range(0, u64::MAX, &|| false).map(drop)
    }

    /// Thins the histories of the users whose hashes begin with numbers from `start` to `end`. Returns the number at which
    /// it ended early.
    fn thin_range(&self, start: u64, end: u64, must_end: &dyn Fn() -> bool) -> Result<Option<u64>, CheckpointError> {
        let (Some(retention), Some(clock)) = (&self.thinning.retention, &self.engine.retention_clock) else {
            return Ok(None);
        };
        let now = clock.now();
        let sled = &self.engine.sled;
        let (mut after, mut unflushed) = (Bound::Included(hash_from(start)), 0);
        let last = (end < u64::MAX).then(|| hash_from(end + 1));
        loop {
            // While it is locked, nothing else changes side records. Others get it between two steps.
            let _folded_to = self.folded_to.lock();
            let users = sled.users_between(after, last, SCANNED_USERS)?;
            let Some(newest) = users.last() else { break };
            after = Bound::Excluded(newest.user);
            for user in users {
                if must_end() {
                    sled.flush()?;
                    return Ok(Some(first_number(&user.user)));
                }
                if let Some(thinned) = self.thin_user(user, &**retention, now)? {
                    self.ensure_reserve()?;
                    let write = || sled.write(std::slice::from_ref(&thinned));
                    unflushed += self.engine.history_versions.rewrite(&thinned.user, write)?;
                }
                if unflushed >= FLUSH_BYTES {
                    sled.flush()?;
                    unflushed = 0;
                }
            }
        }
        sled.flush()?;
        Ok(None)
    }

    /// Thins the history of one user; `None` if nothing changes. A history that is damaged is left as it is.
    fn thin_user(
        &self,
        scanned: ScannedUser,
        retention: &dyn HistoryRetention,
        now: i64,
    ) -> Result<Option<FoldedUser>, StoreError> {
        let engine = &*self.engine;
        let user = scanned.user;
        let record = match scanned.record {
            Some(record) => record,
            None => match engine.sled.user(&user)? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        if record.kind != kind::USER {
            return Ok(None);
        }
        let (slot, generation) = (record.slot, record.generation);
        let thinned = catch_unwind(AssertUnwindSafe(|| self.changes(&user, slot, generation, retention, now)));
        let panicked = |_| Err(StoreError::Damaged { what: format!("the history of slot {slot}: thinning it panics") });
        match thinned.unwrap_or_else(panicked) {
            Ok(changes) => Ok(changes),
            Err(StoreError::Damaged { what }) => {
                tracing::error!("{user:?} could not be thinned and is left as it is: {what}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn changes(
        &self,
        user: &UserHash,
        slot: u32,
        generation: u32,
        retention: &dyn HistoryRetention,
        now: i64,
    ) -> Result<Option<FoldedUser>, StoreError> {
        let engine = &*self.engine;
        let cipher = match engine.user_key(slot, generation) {
            Ok(key) => key.cipher(),
            // The next checkpoint removes the history.
            Err(KeyFault::Erased) => return Ok(None),
            Err(KeyFault::Store(error)) => return Err(error),
        };
        let history = History { engine, user, generation, cipher: &cipher };
        let note = history.read(SideKey { kind: SideKind::RETENTION, number: 0 })?;
        if !retention.is_due(note.as_deref(), now) {
            return Ok(None);
        }
        let SideChanges { put, remove } = retention.thin(&history, now)?;
        let seal = |SideRecord { key, body }: SideRecord| {
            let record = SealedRecord::unsealed(kind::side_record(key.kind), *user, slot, generation, key.number);
            Ok((key, engine.sled.seal(&cipher, body, record, &*engine.entropy)?))
        };
        let put = put.into_iter().map(seal).collect::<Result<_, StoreError>>()?;
        Ok(Some(FoldedUser { user: *user, record: None, before: None, put, remove }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_pass_cover_every_hash_once() {
        for origin in [0, 1, u64::MAX / 3, u64::MAX] {
            let mut progress = Progress { started: Instant::now(), origin, done: 0 };
            let mut covered = 0_u128;
            for to in [u64::MAX / 5, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                let ranges = progress.ranges(to);
                covered += ranges.iter().map(|(start, end)| u128::from(end - start)).sum::<u128>();
                covered += ranges.len() as u128 - 1;
                progress.done = to;
            }
            assert_eq!(covered, u128::from(u64::MAX), "from {origin}");
        }
    }
}
