//! The entries that wait to be written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::port::audit::{AuditCategory, AuditEntry, AuditError, AuditReceipt};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::tree_head::SignedTreeHead;

/// Maximum number of entries that the writer takes at once.
const BATCH: usize = 4_096;

/// Who waits for an entry.
pub(super) struct WaitingSender {
    answer: oneshot::Sender<Result<AuditReceipt, AuditError>>,
    /// Whether the sender does what the entry says after it is durable. Otherwise it has happened already.
    is_ahead: bool,
}

impl WaitingSender {
    /// Returns the sender of an entry about what it does once the entry is durable.
    pub(super) fn ahead(answer: oneshot::Sender<Result<AuditReceipt, AuditError>>) -> Self {
        Self { answer, is_ahead: true }
    }

    /// Returns the sender of an entry about what has happened.
    pub(super) fn behind(answer: oneshot::Sender<Result<AuditReceipt, AuditError>>) -> Self {
        Self { answer, is_ahead: false }
    }

    /// Returns whether the sender has stopped waiting, and so does nothing that were to be recorded.
    pub(super) fn has_given_up(&self) -> bool {
        self.is_ahead && self.answer.is_closed()
    }

    /// Answers the sender. Returns whether it has stopped waiting, and so has done nothing.
    pub(super) fn answer(self, outcome: Result<AuditReceipt, AuditError>) -> bool {
        self.answer.send(outcome).is_err() && self.is_ahead
    }
}

/// What the writer is asked for.
pub(super) enum Request {
    /// An entry that nobody waits for.
    Note(AuditEntry),
    /// An entry that is to be durable before its sender is answered.
    Write(AuditEntry, WaitingSender),
    /// Everything before is to be durable.
    Flush(oneshot::Sender<Result<(), AuditError>>),
    /// A tree head over everything before.
    SignHead(oneshot::Sender<Result<SignedTreeHead, AuditError>>),
}

/// The queue between all threads and the writer.
pub(super) struct AuditQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
    max_requests: usize,
}

#[derive(Default)]
struct QueueState {
    requests: VecDeque<Request>,
    /// Number of requests that are no notes.
    urgent: usize,
    is_closed: bool,
}

impl AuditQueue {
    /// Holds up to `max_requests` requests. Notes take half of it at most, and a quarter of that is for notes of
    /// [`AuditCategory::Security`] alone: many reads must not drop the entry of an attack.
    pub(super) fn new(max_requests: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_requests }
    }

    /// Adds a request without waiting for space.
    pub(super) fn push(&self, request: Request) -> Result<(), AuditError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(AuditError::Closed);
        }
        let (is_note, bound) = match &request {
            Request::Note(entry) if entry.category == AuditCategory::Security => (true, self.max_requests / 2),
            Request::Note(_) => (true, self.max_requests / 8 * 3),
            _ => (false, self.max_requests),
        };
        if state.requests.len() >= bound {
            return Err(AuditError::Overloaded);
        }
        state.requests.push_back(request);
        state.urgent += usize::from(!is_note);
        // The writer takes notes up with its next batch, or after a pause.
        if !is_note || state.requests.len() == BATCH {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for requests that cannot wait themselves, `longest` at most, and takes what is there; `None` once the queue is
    /// closed and empty.
    pub(super) fn next(&self, longest: Duration) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        if !state.is_closed && state.urgent == 0 && state.requests.len() < BATCH {
            self.changed.wait_for(&mut state, longest);
        }
        let count = state.requests.len().min(BATCH);
        let batch: Vec<Request> = state.requests.drain(..count).collect();
        state.urgent -= batch.iter().filter(|request| !matches!(request, Request::Note(_))).count();
        (!batch.is_empty() || !state.is_closed).then_some(batch)
    }

    /// Takes no more requests and discards those that are there, whose senders learn that the log is closed. For the end of
    /// the writer: nobody else serves requests.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.urgent = 0;
        state.requests.clear();
    }

    /// Takes no more requests. The writer ends when it has taken those that are there.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }
}

/// Abandons the queue when it is dropped, also by a panic of the writer, so that nobody waits for it.
pub(super) struct AbandonOnDrop(pub(super) Arc<AuditQueue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use domain::port::audit::AuditActor;

    use super::*;

    #[test]
    fn notes_of_other_categories_leave_places_for_security() {
        let queue = AuditQueue::new(16);
        let note = |category| queue.push(Request::Note(AuditEntry::new(category, "test", AuditActor::System)));
        let taken = |category| (0..16).filter(|_| note(category).is_ok()).count();
        assert_eq!((taken(AuditCategory::Operations), taken(AuditCategory::Security)), (6, 2));
    }

    #[test]
    fn a_writer_that_panics_leaves_nobody_waiting() {
        let queue = Arc::new(AuditQueue::new(8));
        let request = || {
            let (sender, receiver) = oneshot::channel();
            let entry = AuditEntry::new(AuditCategory::Compliance, "test", AuditActor::System);
            (Request::Write(entry, WaitingSender::ahead(sender)), receiver)
        };
        let (waiting, mut outcome) = request();
        queue.push(waiting).expect("taken");
        let writer = || {
            let _abandoned = AbandonOnDrop(Arc::clone(&queue));
            panic!("injected");
        };
        assert!(catch_unwind(AssertUnwindSafe(writer)).is_err());
        assert_eq!(outcome.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(queue.push(request().0), Err(AuditError::Closed));
    }
}
