//! The letters that wait to be written, bounded by their bytes.

use std::collections::VecDeque;
use std::time::Duration;

use domain::port::dead_letters::{DeadLetter, LetterDropped};
use parking_lot::{Condvar, Mutex};

use crate::sled_store::SourceTag;

/// A letter on its way.
pub(super) struct QueuedLetter {
    pub(super) letter: DeadLetter,
    pub(super) tag: SourceTag,
    /// What was set aside for it in the account.
    pub(super) reserved: u64,
}

/// What the writer got.
pub(super) enum NextBatch {
    Letters(Vec<QueuedLetter>),
    /// None came in time.
    Nothing,
    Closed,
}

/// The queue between those who reject events and the thread that writes.
pub(super) struct LetterQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    max_bytes: usize,
}

#[derive(Default)]
struct QueueState {
    letters: VecDeque<QueuedLetter>,
    /// Of the letters that wait and of the batch that is being written.
    bytes: usize,
    closed: bool,
}

impl LetterQueue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_bytes }
    }

    /// Puts a letter in, without waiting.
    pub(super) fn push(&self, queued: QueuedLetter) -> Result<(), LetterDropped> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(LetterDropped::Closing);
        }
        let bytes = state.bytes + memory_bytes(&queued.letter);
        if bytes > self.max_bytes {
            return Err(LetterDropped::QueueLimit);
        }
        state.bytes = bytes;
        state.letters.push_back(queued);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for letters, `longest` at most, and takes up to `letters` of them with up to `bytes` bytes. The bytes count
    /// until [`Self::written`].
    pub(super) fn next(&self, letters: usize, bytes: usize, longest: Duration) -> NextBatch {
        let mut state = self.state.lock();
        if state.letters.is_empty() && !state.closed {
            self.changed.wait_for(&mut state, longest);
        }
        let (mut batch, mut held) = (Vec::new(), 0);
        while batch.len() < letters
            && let Some(next) = state.letters.front()
        {
            held += memory_bytes(&next.letter);
            if held > bytes && !batch.is_empty() {
                break;
            }
            batch.extend(state.letters.pop_front());
        }
        match (batch.is_empty(), state.closed) {
            (false, _) => NextBatch::Letters(batch),
            (true, true) => NextBatch::Closed,
            (true, false) => NextBatch::Nothing,
        }
    }

    /// The memory of a batch is free again.
    pub(super) fn written(&self, batch: &[QueuedLetter]) {
        let bytes: usize = batch.iter().map(|queued| memory_bytes(&queued.letter)).sum();
        self.state.lock().bytes -= bytes;
    }

    /// Waits before another try; says whether the queue was closed by then.
    pub(super) fn pause(&self, longest: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.changed.wait_for(&mut state, longest);
        }
        state.closed
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

/// The memory that a letter takes, about.
fn memory_bytes(letter: &DeadLetter) -> usize {
    let texts = [&letter.event_id, &letter.event_type, &letter.pointer].into_iter().flatten();
    let body = letter.body.as_ref().map_or(0, Vec::len);
    size_of::<QueuedLetter>()
        + letter.source.len()
        + letter.problem.len()
        + texts.map(String::len).sum::<usize>()
        + body
}
