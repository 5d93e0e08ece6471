//! Dead letters: rejected events, sealed and kept for some days, up to a number of bytes.
//!
//! A letter whose subject has a slot is sealed under the subject's key, so an erasure takes it along. The others are
//! sealed under a key of the day, which is destroyed when the day's letters are due to go. What is beyond a bound is not
//! kept, and whoever hands it in is told so at once.

mod account;
mod body;
mod queue;
mod writer;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use domain::port::dead_letters::{DeadLetter, DeadLetters, LetterDropped};
use domain::port::store::StoreError;
use parking_lot::Mutex;

pub(crate) use account::SourceTag;
use account::{Account, Limits, tag};
use queue::{Queue, Waiting};
use writer::Writer;

use crate::error::OpenError;
use crate::options::StoreOptions;
use crate::seal::kind;
use crate::shared::Shared;
use crate::sled_store::SealedRecord;

/// What a stored letter takes beside its encoded body at most: keys, headers, the seal, and compression that fails.
const OVERHEAD_BYTES: u64 = 256;

/// Takes dead letters and writes them on a thread of its own.
pub struct DeadLetterStore {
    shared: Arc<Shared>,
    account: Arc<Account>,
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl DeadLetterStore {
    pub(crate) fn start(shared: Arc<Shared>, options: &StoreOptions) -> Result<Self, OpenError> {
        let stored = shared.sled.letter_bytes().map_err(|source| OpenError::Sled { doing: "read", source })?;
        let limits = Limits { per_source: options.dead_letter_source_bytes, all: options.dead_letter_total_bytes };
        let account = Arc::new(Account::new(limits, stored));
        let queue = Arc::new(Queue::new(options.dead_letter_queue_bytes));
        let writer = Writer::new(shared.clone(), account.clone(), queue.clone(), options.dead_letter_days);
        let writer = thread::Builder::new().name("dead letters".to_owned()).spawn(move || writer.run());
        let no_thread =
            |source| OpenError::Disk { doing: "start a thread for", path: options.data_dir.clone(), source };
        Ok(Self { shared, account, queue, writer: Mutex::new(Some(writer.map_err(no_thread)?)) })
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
        let mut letters: Vec<_> = self.shared.sled.letters()?.into_iter().filter_map(open).collect();
        letters.sort_by_key(|letter| letter.rejected_at);
        Ok(letters)
    }

    /// Bytes that the letters take in the store, those that wait to be written among them.
    pub fn bytes(&self) -> u64 {
        self.account.total()
    }

    /// Writes what is queued and takes no more.
    pub(crate) fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // It ends by itself; a panic in it was reported by the panic hook.
            let _ = writer.join();
        }
    }

    fn take(&self, mut letter: DeadLetter) -> Result<(), LetterDropped> {
        // Retention has its own clock: that of assembly may stand still.
        if let Some(clock) = &self.shared.retention_clock {
            letter.rejected_at = clock.now();
        }
        let (tag, reserved) = (tag(&letter.source), bound(&letter));
        self.account.reserve(tag, reserved)?;
        self.queue.push(Waiting { letter, tag, reserved }).inspect_err(|_| self.account.settle(tag, reserved, 0))
    }
}

impl Drop for DeadLetterStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl DeadLetters for DeadLetterStore {
    fn keep(&self, letter: DeadLetter) -> Result<(), LetterDropped> {
        self.take(letter).inspect_err(|dropped| self.shared.metrics.dead_letter_dropped(dropped.name()))
    }
}

/// The most bytes that a letter will take in the store.
fn bound(letter: &DeadLetter) -> u64 {
    let bytes = body::encode(letter).len() as u64;
    // Each value of 4,000 bytes has a key of some 40.
    bytes + bytes / 64 + OVERHEAD_BYTES
}
