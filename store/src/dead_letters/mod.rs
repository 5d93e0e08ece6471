//! Dead letters: rejected events, sealed and kept for some days.
//!
//! A letter whose subject has a slot is sealed under the subject's key, so an erasure takes it along. The others are
//! sealed under a key of the day, which is destroyed when the day's letters are due to go.

mod body;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use domain::port::clock::Clock;
use domain::port::dead_letters::{DeadLetter, DeadLetters};
use domain::port::store::StoreError;
use parking_lot::Mutex;

use crate::options::Options;
use crate::seal::{Cipher, NOBODY, kind};
use crate::shared::{Known, Shared};
use crate::sled_store::{LETTER_KEY_BYTES, SealedRecord};

const MICROS_PER_DAY: i64 = 24 * 3600 * 1_000_000;
/// How often old letters are looked for when no new one comes.
const PURGE_PAUSE: Duration = Duration::from_secs(600);

/// Takes dead letters and writes them on a thread of its own.
pub struct LetterBox {
    shared: Arc<Shared>,
    queue: Mutex<Option<SyncSender<DeadLetter>>>,
    waiting_bytes: Arc<AtomicUsize>,
    max_bytes: usize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl LetterBox {
    pub(crate) fn start(shared: Arc<Shared>, options: &Options) -> std::io::Result<Self> {
        let (queue, letters) = sync_channel(options.dead_letter_queue);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            shared: shared.clone(),
            waiting_bytes: waiting_bytes.clone(),
            days_kept: options.dead_letter_days,
            clock: options.clock.clone(),
            purged_for: None,
        };
        let writer = thread::Builder::new().name("dead letters".to_owned()).spawn(move || writer.run(&letters))?;
        Ok(Self {
            shared,
            queue: Mutex::new(Some(queue)),
            waiting_bytes,
            max_bytes: options.dead_letter_bytes,
            writer: Mutex::new(Some(writer)),
        })
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
        let bytes = weight(&letter);
        let room = |waiting: usize| waiting.checked_add(bytes).filter(|&all| all <= self.max_bytes);
        let reserved = self.waiting_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if reserved && self.queue.lock().as_ref().is_some_and(|queue| queue.try_send(letter).is_ok()) {
            return;
        }
        if reserved {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.shared.metrics.dead_letters_dropped.increment(1);
    }
}

fn weight(letter: &DeadLetter) -> usize {
    letter.body.as_ref().map_or(0, Vec::len)
}

/// What the thread has.
struct Writer {
    shared: Arc<Shared>,
    waiting_bytes: Arc<AtomicUsize>,
    days_kept: u32,
    clock: Option<Arc<dyn Clock>>,
    /// The last day that old letters were removed on.
    purged_for: Option<u32>,
}

impl Writer {
    fn run(mut self, letters: &Receiver<DeadLetter>) {
        self.purge_by_clock();
        loop {
            match letters.recv_timeout(PURGE_PAUSE) {
                Ok(letter) => {
                    self.take(&letter);
                    self.waiting_bytes.fetch_sub(weight(&letter), Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => self.purge_by_clock(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, letter: &DeadLetter) {
        let day = day_of(letter.rejected_at);
        self.purge_on(day);
        if let Err(error) = write(&self.shared, letter, day) {
            tracing::error!("a dead letter was dropped: {error}");
            self.shared.metrics.dead_letters_dropped.increment(1);
        }
    }

    fn purge_by_clock(&mut self) {
        if let Some(clock) = &self.clock {
            self.purge_on(day_of(clock.now_micros()));
        }
    }

    /// Once a day; a failure is tried again with the next letter.
    fn purge_on(&mut self, day: u32) {
        if self.purged_for == Some(day) {
            return;
        }
        match purge(&self.shared, day.saturating_sub(self.days_kept)) {
            Ok(()) => self.purged_for = Some(day),
            Err(error) => tracing::error!("old dead letters could not be removed: {error}"),
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
    let subject = letter.user.map(|user| shared.hasher.hash(&user));
    let known = subject.map(|user| Ok::<_, StoreError>(shared.last_known(&user)?.map(|known| (user, known))));
    let (user, slot, generation, cipher) = match known.transpose()?.flatten() {
        Some((user, Known { slot, generation, .. })) => (user, slot, generation, shared.cipher(slot, generation)?),
        None => {
            let (slot, generation, cipher) = daily_key(shared, day)?;
            (NOBODY, slot, generation, cipher)
        }
    };
    let record = SealedRecord::unsealed(kind::DEAD_LETTER, user, slot, generation, letter.rejected_at as u64);
    let record = shared.sled.seal(&cipher, &body::encode(letter), record, &*shared.entropy)?;
    let mut key = letter_key(letter.rejected_at);
    shared.entropy.fill(&mut key[8..16]);
    key[16..].copy_from_slice(&user.0);
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

/// Letters lie in the order of their rejection; the random part and the user come behind it.
fn letter_key(rejected_at: i64) -> [u8; LETTER_KEY_BYTES] {
    let mut key = [0; LETTER_KEY_BYTES];
    key[..8].copy_from_slice(&rejected_at.max(0).to_be_bytes());
    key
}
