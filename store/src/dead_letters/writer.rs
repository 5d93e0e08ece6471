//! The thread that writes dead letters and removes expired ones.

use std::sync::Arc;
use std::time::Duration;

use domain::port::dead_letters::DeadLetter;
use domain::port::store::StoreError;

use super::body;
use super::queue::{LetterQueue, NextBatch, QueuedLetter, without_user};
use super::quota::LetterQuota;
use crate::engine::Engine;
use crate::journal::NewestFrame;
use crate::keyring::FIRST_GENERATION;
use crate::load::newest_frame;
use crate::seal::{Cipher, NOBODY, kind};
use crate::sled_store::{LetterKey, NewLetter, SealedRecord, SourceTag};
use crate::user_hash::UserHash;

const MICROS_PER_DAY: i64 = 24 * 3600 * 1_000_000;
/// Time between two looks for expired letters when no letter comes.
const PAUSE: Duration = Duration::from_secs(60);
/// Time before letters that could not be written are tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Maximum number of letters in a batch. Readers of sled wait while a batch is applied.
const BATCH_LETTERS: usize = 64;
/// Maximum number of bytes in a batch, unless a single letter is larger.
const BATCH_BYTES: usize = 256 << 10;

/// The state of the thread.
pub(super) struct LetterWriter {
    engine: Arc<Engine>,
    quota: Arc<LetterQuota>,
    queue: Arc<LetterQueue>,
    days_kept: u32,
    /// The last day on which expired letters were removed.
    purged_for: Option<u32>,
    /// How often sled had been reopened when its letters were counted.
    counted_at: u64,
}

/// Why letters could not be written or removed.
#[derive(Debug, thiserror::Error)]
enum LetterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("sled failed: {0}")]
    Sled(#[from] sled::Error),
    #[error("the keyring failed: {0}")]
    Keyring(#[from] std::io::Error),
    #[error("the disk is full")]
    NoReserve,
}

impl LetterWriter {
    pub(super) fn new(engine: Arc<Engine>, quota: Arc<LetterQuota>, queue: Arc<LetterQueue>, days_kept: u32) -> Self {
        Self { engine, quota, queue, days_kept, purged_for: None, counted_at: 0 }
    }

    pub(super) fn run(mut self) {
        self.measure();
        self.purge_by_clock();
        loop {
            match self.queue.next(BATCH_LETTERS, BATCH_BYTES, PAUSE) {
                NextBatch::Letters(batch) => {
                    self.write_or_wait(&batch);
                    self.queue.written(&batch);
                    self.measure();
                }
                NextBatch::Nothing => {
                    self.recount_after_reopen();
                    self.purge_by_clock();
                }
                NextBatch::Closed => return,
            }
        }
    }

    fn measure(&self) {
        self.engine.metrics.dead_letter_bytes.set(self.quota.total() as f64);
    }

    /// Counts the stored letters again if sled was reopened, because letters that were not flushed before are lost.
    fn recount_after_reopen(&mut self) {
        if self.counted_at != self.engine.sled.reopens() && self.engine.sled.is_open() {
            self.recount();
        }
    }

    /// Counts the stored letters again.
    fn recount(&mut self) {
        let quota = Arc::clone(&self.quota);
        let _changes = quota.lock_changes();
        let reopens = self.engine.sled.reopens();
        match self.engine.sled.letter_bytes() {
            Ok(stored) => {
                self.quota.set_stored(stored);
                self.counted_at = reopens;
                self.measure();
            }
            Err(error) => tracing::error!("the dead letters could not be counted: {error}"),
        }
    }

    /// Writes a batch. While the store cannot take it, the batch waits, and later letters fill the queue.
    fn write_or_wait(&mut self, batch: &[QueuedLetter]) {
        let mut was_logged = false;
        loop {
            self.recount_after_reopen();
            let Err(error) = self.write(batch) else { return };
            if !was_logged {
                tracing::error!("dead letters could not be written and wait: {error}");
                was_logged = true;
            }
            if self.queue.pause(RETRY) {
                break;
            }
        }
        tracing::error!("{} dead letters were dropped: the store closes and cannot take them", batch.len());
        for queued in batch {
            self.drop_letter(queued);
        }
    }

    fn drop_letter(&self, queued: &QueuedLetter) {
        self.quota.settle(queued.tag, queued.reserved, 0);
        self.engine.metrics.dead_letter_dropped("failed");
    }

    fn write(&mut self, batch: &[QueuedLetter]) -> Result<(), LetterError> {
        self.check_reserve()?;
        let (mut sealed, mut written, mut dropped) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for queued in batch {
            let day = day_of(queued.letter.rejected_at);
            self.purge_on(day);
            let stripped = self.queue.is_of_erased(&queued.letter).then(|| without_user(&queued.letter));
            match seal(&self.engine, stripped.as_ref().unwrap_or(&queued.letter), day, queued.tag) {
                Ok(letter) => {
                    written.push((queued.tag, queued.reserved, letter.bytes()));
                    sealed.push((queued.tag, letter));
                }
                Err(LetterError::Store(error @ StoreError::Damaged { .. })) => {
                    tracing::error!("a dead letter was dropped: {error}");
                    dropped.push(queued);
                }
                Err(error) => return Err(error),
            }
        }
        let _changes = self.quota.lock_changes();
        self.engine.sled.put_letters(&sealed)?;
        written.into_iter().for_each(|(tag, reserved, stored)| self.quota.settle(tag, reserved, stored));
        dropped.into_iter().for_each(|queued| self.drop_letter(queued));
        Ok(())
    }

    /// Refuses to write without the reserve, because sled has to be reopened after a write to a full disk.
    fn check_reserve(&self) -> Result<(), LetterError> {
        if self.engine.sled.has_reserve() { Ok(()) } else { Err(LetterError::NoReserve) }
    }

    fn purge_by_clock(&mut self) {
        if let Some(clock) = &self.engine.retention_clock {
            self.purge_on(day_of(clock.now()));
        }
    }

    /// Removes expired letters once a day. A failure is tried again with the next letter.
    fn purge_on(&mut self, day: u32) {
        if self.purged_for == Some(day) {
            return;
        }
        let purged = self.purge(day.saturating_sub(self.days_kept));
        // A purge that failed may have removed some letters, so the quota has to follow in any case.
        self.recount();
        match purged {
            Ok(()) => self.purged_for = Some(day),
            Err(error) => tracing::error!("old dead letters could not be removed: {error}"),
        }
    }

    /// Removes all letters of the days before `day` and destroys the keys of those days.
    fn purge(&mut self, day: u32) -> Result<(), LetterError> {
        self.check_reserve()?;
        let end = (i64::from(day) * MICROS_PER_DAY).to_be_bytes();
        let quota = Arc::clone(&self.quota);
        let changes = quota.lock_changes();
        for tag in self.engine.sled.letter_bytes()?.into_keys() {
            self.engine.sled.remove_letters_before(tag, &end)?;
        }
        drop(changes);
        for (day, slot) in self.engine.sled.daily_slots_before(day)? {
            self.engine.keyring.destroy(slot, FIRST_GENERATION)?;
            self.engine.sled.remove_daily_slot(day)?;
        }
        Ok(())
    }
}

fn seal(engine: &Engine, letter: &DeadLetter, day: u32, tag: SourceTag) -> Result<NewLetter, LetterError> {
    let subject = letter.user.map(|user| engine.hasher.hash(&user));
    let known = subject.map(|user| Ok::<_, StoreError>(newest_frame(engine, &user)?.map(|known| (user, known))));
    let known = known.transpose()?.flatten();
    let stripped;
    let (letter, known) = match known {
        Some((_, NewestFrame { is_erasure: true, .. })) => {
            stripped = without_user(letter);
            (&stripped, None)
        }
        known => (letter, known),
    };
    let (user, slot, generation, cipher) = match known {
        Some((user, NewestFrame { slot, generation, .. })) => {
            (user, slot, generation, engine.cipher(slot, generation)?)
        }
        None => {
            let (slot, generation, cipher) = daily_key(engine, day)?;
            (NOBODY, slot, generation, cipher)
        }
    };
    let record = SealedRecord::unsealed(kind::DEAD_LETTER, user, slot, generation, letter.rejected_at as u64);
    let record = engine.sled.seal(&cipher, body::encode(letter), record, &*engine.entropy)?;
    Ok(NewLetter { key: letter_key(engine, letter, tag, &user), record })
}

/// Returns the key of a letter in sled: the tag of its source, the time, 8 random bytes and the hash of its user. So
/// the letters of a source are in the order of their rejection.
fn letter_key(engine: &Engine, letter: &DeadLetter, tag: SourceTag, user: &UserHash) -> LetterKey {
    let mut key: LetterKey = [0; size_of::<LetterKey>()];
    key[..4].copy_from_slice(&tag);
    key[4..12].copy_from_slice(&letter.rejected_at.max(0).to_be_bytes());
    engine.entropy.fill(&mut key[12..20]);
    key[20..].copy_from_slice(&user.0);
    key
}

/// Returns the slot, generation and cipher of the key of a day. Its slot of the keyring belongs to no user.
fn daily_key(engine: &Engine, day: u32) -> Result<(u32, u32, Cipher), LetterError> {
    if let Some(slot) = engine.sled.daily_slot(day)? {
        return Ok((slot, FIRST_GENERATION, engine.cipher(slot, FIRST_GENERATION)?));
    }
    let issued = engine.take_slots(1)?.pop().ok_or_else(|| std::io::Error::other("the keyring gave no slot"))?;
    engine.sled.set_daily_slot(day, issued.slot)?;
    // Flushed before any letter is sealed under the key, so that a crash leaves no letter without a known key.
    engine.sled.flush()?;
    Ok((issued.slot, FIRST_GENERATION, issued.key.cipher()))
}

fn day_of(micros: i64) -> u32 {
    micros.div_euclid(MICROS_PER_DAY).clamp(0, i64::from(u32::MAX)) as u32
}
