//! Dead letters: rejected events, sealed and kept for some days, up to a limit in bytes.
//!
//! A letter about a known user is sealed under the user's key, so an erasure of the user covers it. The others are sealed
//! under a key of the day, which is destroyed when the letters of the day expire. A letter beyond a limit is not kept, and
//! the caller gets an error at once.

mod body;
mod queue;
mod quota;
mod stored;
mod writer;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use domain::port::dead_letters::{DeadLetter, DeadLetters, LetterDropped};
use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;
use parking_lot::Mutex;

use queue::{LetterQueue, QueuedLetter};
use quota::{LetterLimits, LetterQuota, source_tag};
use writer::LetterWriter;

use crate::engine::Engine;
use crate::error::OpenError;
use crate::options::StoreOptions;
use crate::seal::kind;
use crate::sled_store::SealedRecord;

/// Maximum number of bytes that a stored letter takes beside its encoded body: keys, headers, the seal, and what
/// compression adds to an incompressible body.
const OVERHEAD_BYTES: u64 = 256;

/// Stores dead letters. A separate thread writes them.
pub struct DeadLetterStore {
    engine: Arc<Engine>,
    quota: Arc<LetterQuota>,
    queue: Arc<LetterQueue>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl DeadLetterStore {
    pub(crate) fn start(engine: Arc<Engine>, options: &StoreOptions) -> Result<Self, OpenError> {
        let stored = engine.sled.letter_bytes().map_err(|source| OpenError::Sled { doing: "read", source })?;
        let limits =
            LetterLimits { per_source: options.dead_letter_source_bytes, all: options.dead_letter_total_bytes };
        let quota = Arc::new(LetterQuota::new(limits, stored));
        let queue = Arc::new(LetterQueue::new(options.dead_letter_queue_bytes));
        let writer = LetterWriter::new(engine.clone(), quota.clone(), queue.clone(), options.dead_letter_days);
        let writer = thread::Builder::new().name("dead letters".to_owned()).spawn(move || writer.run());
        let no_thread =
            |source| OpenError::Disk { doing: "start a thread for", path: options.data_dir.clone(), source };
        Ok(Self { engine, quota, queue, writer: Mutex::new(Some(writer.map_err(no_thread)?)) })
    }

    /// Reads all letters that are written and can still be opened, oldest first.
    ///
    /// # Errors
    /// The stored letters could not be read.
    pub fn read_all(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let stored = self.engine.sled.letters(&[])?;
        let mut letters: Vec<_> = stored.iter().filter_map(|(_, sealed)| self.open(sealed)).collect();
        letters.sort_by_key(|letter| letter.rejected_at);
        Ok(letters)
    }

    /// Opens a letter. The key of an erased user or of an expired day is destroyed, so their letters cannot be opened.
    fn open(&self, letter: &SealedRecord) -> Option<DeadLetter> {
        let cipher = self.engine.cipher(letter.slot, letter.generation).ok()?;
        let body = self.engine.sled.open_record(&cipher, kind::DEAD_LETTER, letter).ok()?;
        body::decode(&body)
    }

    /// Returns the number of bytes that all letters take in the store, including those that wait to be written.
    pub fn bytes(&self) -> u64 {
        self.quota.total()
    }

    /// Writes the letters in the queue and takes no more.
    pub(crate) fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // A panic in the thread was reported by the panic hook.
            let _ = writer.join();
        }
    }

    fn enqueue(&self, mut letter: DeadLetter) -> Result<(), LetterDropped> {
        // Retention has its own clock: the clock of the pipeline may stand still.
        if let Some(clock) = &self.engine.retention_clock {
            letter.rejected_at = clock.now();
        }
        let (tag, reserved) = (source_tag(&letter.source), max_stored_bytes(&letter));
        self.quota.reserve(tag, reserved)?;
        self.queue.push(QueuedLetter { letter, tag, reserved }).inspect_err(|_| self.quota.settle(tag, reserved, 0))
    }
}

impl Drop for DeadLetterStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl ErasureParticipant for DeadLetterStore {
    fn name(&self) -> &'static str {
        "the dead letters that wait"
    }

    /// Those that are written are sealed under the user's key.
    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        self.queue.forget(&erased.user);
        Ok(())
    }
}

impl DeadLetters for DeadLetterStore {
    fn keep(&self, letter: DeadLetter) -> Result<(), LetterDropped> {
        self.enqueue(letter).inspect_err(|dropped| self.engine.metrics.dead_letter_dropped(dropped.name()))
    }
}

/// Returns the maximum number of bytes that a letter takes in the store.
fn max_stored_bytes(letter: &DeadLetter) -> u64 {
    let bytes = body::encode(letter).len() as u64;
    // Each value of 4,000 bytes has a key of about 40 bytes.
    bytes + bytes / 64 + OVERHEAD_BYTES
}
