//! The letters that wait to be written, limited by their bytes.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use domain::id::UserId;
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
    /// The users who were erased while the batch is being written.
    erased: HashSet<UserId>,
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
        state.erased.clear();
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

    /// Takes from the letters that wait what they say about an erased user. Those of the batch that is being written are to be
    /// asked for with [`Self::is_of_erased`].
    pub(super) fn forget(&self, user: &UserId) {
        let mut state = self.state.lock();
        let mut freed = 0;
        for queued in state.letters.iter_mut().filter(|queued| queued.letter.user.as_ref() == Some(user)) {
            let before = memory_bytes(&queued.letter);
            queued.letter = without_user(&queued.letter);
            freed += before - memory_bytes(&queued.letter);
        }
        state.bytes -= freed;
        state.erased.insert(*user);
    }

    /// Returns whether the user of a letter of the batch that is being written was erased since the batch was taken.
    pub(super) fn is_of_erased(&self, letter: &DeadLetter) -> bool {
        letter.user.is_some_and(|user| self.state.lock().erased.contains(&user))
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

/// Returns a letter without its event, and without the user whom it is about. Events of erased users are never kept.
pub(super) fn without_user(letter: &DeadLetter) -> DeadLetter {
    DeadLetter { user: None, body: None, ..letter.clone() }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(user: &UserId, number: u64) -> QueuedLetter {
        let letter = DeadLetter {
            source: "identity".to_owned(),
            user: Some(*user),
            event_id: Some(number.to_string()),
            event_type: None,
            problem: "invalid".to_owned(),
            pointer: None,
            body: Some(b"the secret letter".to_vec()),
            rejected_at: 1,
        };
        QueuedLetter { letter, tag: SourceTag::default(), reserved: 0 }
    }

    fn take(queue: &LetterQueue, letters: usize) -> Vec<QueuedLetter> {
        match queue.next(letters, usize::MAX, Duration::ZERO) {
            NextBatch::Letters(batch) => batch,
            _ => panic!("there are letters"),
        }
    }

    #[test]
    fn letters_that_wait_forget_an_erased_user_and_keep_the_others() {
        let [erased, other] = ["usr_Erased000001", "usr_Other0000001"].map(|id| UserId::parse(id).expect("an id"));
        let queue = LetterQueue::new(1 << 20);
        for (number, user) in [erased, erased, other].iter().enumerate() {
            assert!(queue.push(queued(user, number as u64)).is_ok());
        }
        let first = take(&queue, 1);
        queue.forget(&erased);
        assert!(queue.is_of_erased(&first[0].letter), "its writer has it already");
        assert!(!queue.is_of_erased(&queued(&other, 9).letter));
        queue.written(&first);
        // The user may live again, and a letter of that life come.
        assert!(queue.push(queued(&erased, 3)).is_ok());
        let rest = take(&queue, 9);
        let known: Vec<_> = rest.iter().map(|queued| (queued.letter.user, queued.letter.body.is_some())).collect();
        assert_eq!(known, [(None, false), (Some(other), true), (Some(erased), true)]);
        assert!(!rest.iter().any(|queued| queue.is_of_erased(&queued.letter)));
        queue.written(&rest);
        assert_eq!(queue.state.lock().bytes, 0);
    }
}
