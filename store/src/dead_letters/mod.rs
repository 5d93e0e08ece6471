//! Dead letters: rejected events, sealed and kept for 30 days.
//!
//! A letter whose subject has a slot is sealed under the subject's key, so an erasure takes it along. The others are
//! sealed under a key of the day, which is destroyed when the day's letters are due to go.

mod body;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use domain::port::dead_letters::{DeadLetter, DeadLetters};
use domain::port::store::StoreError;
use parking_lot::Mutex;

use crate::seal::{Cipher, kind};
use crate::shared::Shared;
use crate::sled_store::{LETTER_KEY_BYTES, SealedRecord};

const MICROS_PER_DAY: i64 = 24 * 3600 * 1_000_000;
/// How long letters are kept.
const DAYS_KEPT: u32 = 30;

/// Takes dead letters and writes them on a thread of its own.
pub struct LetterBox {
    shared: Arc<Shared>,
    queue: Mutex<Option<SyncSender<DeadLetter>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl LetterBox {
    pub(crate) fn start(shared: Arc<Shared>, capacity: usize) -> std::io::Result<Self> {
        let (queue, letters) = sync_channel(capacity);
        let worker = shared.clone();
        let work = move || write_all(&worker, letters);
        let writer = thread::Builder::new().name("dead letters".to_owned()).spawn(work)?;
        Ok(Self { shared, queue: Mutex::new(Some(queue)), writer: Mutex::new(Some(writer)) })
    }

    /// Reads all letters that can still be opened, oldest first.
    ///
    /// # Errors
    /// The stored letters could not be read.
    pub fn read_all(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let open = |letter: SealedRecord| {
            // The key of an erased user, or of a day that has passed, is gone, and the letter with it.
            let cipher = self.shared.cipher(letter.slot, letter.generation).ok()?;
            let body = self.shared.sled.open_record(&cipher, kind::DEAD_LETTER, &letter).ok()?;
            body::decode(&body)
        };
        Ok(self.shared.sled.letters()?.into_iter().filter_map(open).collect())
    }

    /// Writes what is queued and takes no more.
    pub(crate) fn close(&self) {
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // It ends by itself; a panic in it was reported by the panic hook.
            let _ = writer.join();
        }
    }
}

impl Drop for LetterBox {
    fn drop(&mut self) {
        self.close();
    }
}

impl DeadLetters for LetterBox {
    fn keep(&self, letter: DeadLetter) {
        let taken = self.queue.lock().as_ref().is_some_and(|queue| queue.try_send(letter).is_ok());
        if !taken {
            self.shared.metrics.dead_letters_dropped.increment(1);
        }
    }
}

fn write_all(shared: &Shared, letters: Receiver<DeadLetter>) {
    let mut purged_for = None;
    for letter in letters {
        let day = day_of(letter.rejected_at);
        if purged_for != Some(day) {
            purged_for = Some(day);
            if let Err(error) = purge(shared, day.saturating_sub(DAYS_KEPT)) {
                tracing::error!("old dead letters could not be removed: {error}");
            }
        }
        if let Err(error) = write(shared, &letter, day) {
            tracing::error!("a dead letter was dropped: {error}");
            shared.metrics.dead_letters_dropped.increment(1);
        }
    }
}

/// A letter that could not be written, or an old one that could not be removed.
#[derive(Debug, thiserror::Error)]
enum LetterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("sled failed: {0}")]
    Sled(#[from] sled::Error),
    #[error("the keyring failed: {0}")]
    Keyring(#[from] std::io::Error),
}

fn write(shared: &Shared, letter: &DeadLetter, day: u32) -> Result<(), LetterError> {
    let known = letter.user.map(|user| shared.last_known(&shared.hasher.hash(&user))).transpose()?.flatten();
    let (slot, generation, cipher) = match known {
        Some(known) => (known.slot, known.generation, shared.cipher(known.slot, known.generation)?),
        None => daily_key(shared, day)?,
    };
    let record = SealedRecord::unsealed(slot, generation, letter.rejected_at as u64);
    let record = shared.sled.seal(&cipher, kind::DEAD_LETTER, &body::encode(letter), record, &*shared.entropy)?;
    let mut key = letter_key(letter.rejected_at);
    shared.entropy.fill(&mut key[8..]);
    Ok(shared.sled.put_letter(&key, &record)?)
}

/// The key of a day: a slot of the keyring that is nobody's.
fn daily_key(shared: &Shared, day: u32) -> Result<(u32, u32, Cipher), LetterError> {
    if let Some(slot) = shared.sled.daily_slot(day)? {
        return Ok((slot, 1, shared.cipher(slot, 1)?));
    }
    let issued = shared.keyring.take(1)?.pop().ok_or_else(|| std::io::Error::other("the keyring gave no slot"))?;
    shared.sled.set_daily_slot(day, issued.slot)?;
    // A crash before the flush would leave letters without a key that anybody knows of, so it comes first.
    shared.sled.flush()?;
    Ok((issued.slot, 1, issued.key.cipher()))
}

/// Destroys the keys of the days before `day` and removes all letters of those days.
fn purge(shared: &Shared, day: u32) -> Result<(), LetterError> {
    shared.sled.remove_letters_before(&letter_key(i64::from(day) * MICROS_PER_DAY))?;
    for (day, slot) in shared.sled.daily_slots_before(day)? {
        shared.keyring.destroy(slot, 1)?;
        shared.sled.remove_daily_slot(day)?;
    }
    Ok(())
}

fn day_of(micros: i64) -> u32 {
    micros.div_euclid(MICROS_PER_DAY).clamp(0, i64::from(u32::MAX)) as u32
}

/// Letters lie in the order of their rejection; the random part comes second.
fn letter_key(rejected_at: i64) -> [u8; LETTER_KEY_BYTES] {
    let mut key = [0; LETTER_KEY_BYTES];
    key[..8].copy_from_slice(&rejected_at.max(0).to_be_bytes());
    key
}
