//! The letters that wait to be written, limited by their bytes.

use std::collections::VecDeque;
use std::time::Duration;

use domain::port::dead_letters::{DeadLetter, LetterDropped};
use parking_lot::{Condvar, Mutex};

use crate::sled_store::SourceTag;

/// A letter that waits to be written.
pub(super) struct QueuedLetter {
    pub(super) letter: DeadLetter,
    pub(super) tag: SourceTag,
    /// The bytes that the quota reserved for it.
    pub(super) reserved: u64,
}

/// What the writer does next.
pub(super) enum NextBatch {
    Letters(Vec<QueuedLetter>),
    /// No letter came in time.
    Nothing,
    Closed,
}

/// The queue between the threads that reject events and the thread that writes letters.
pub(super) struct LetterQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    max_bytes: usize,
}

#[derive(Default)]
struct QueueState {
    letters: VecDeque<QueuedLetter>,
    /// The memory of the letters that wait and of the batch that is being written.
    bytes: usize,
    closed: bool,
}

impl LetterQueue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_bytes }
    }

    /// Adds a letter, without waiting for space.
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

    /// Subtracts the memory of a batch that was written or dropped.
    pub(super) fn written(&self, batch: &[QueuedLetter]) {
        let bytes: usize = batch.iter().map(|queued| memory_bytes(&queued.letter)).sum();
        self.state.lock().bytes -= bytes;
    }

    /// Waits before the next try, `longest` at most. Returns whether the queue was closed by then.
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

/// Returns about how much memory a letter takes, in bytes.
fn memory_bytes(letter: &DeadLetter) -> usize {
    let texts = [&letter.event_id, &letter.event_type, &letter.pointer].into_iter().flatten();
    let body = letter.body.as_ref().map_or(0, Vec::len);
    size_of::<QueuedLetter>()
        + letter.source.len()
        + letter.problem.len()
        + texts.map(String::len).sum::<usize>()
        + body
}
