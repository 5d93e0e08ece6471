//! Reads, from the committed head.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::state::UserState;

use super::apply::{context, is_rolled};
use super::environment::Environment;
use super::state::{ProfileState, Waiter};
use crate::error::{Busy, ReadError};
use crate::head::HeadLease;
use crate::priority::Priority;
use crate::request::{CommittedHead, GetHead, Request};

/// The result of looking for the state that a read is answered from.
pub(super) enum ReadOutcome {
    /// The committed head, of today.
    Head(Arc<UserState>),
    /// The committed head, of an earlier day or of earlier rules: the roll to today cannot be journalled now.
    Stale(Arc<UserState>),
    /// The roll to today is being committed: the read must wait for it.
    Pending,
    /// There is no head.
    Error(ReadError),
}

impl ProfileState {
    /// Returns the head, rolled to today. Other pending states do not matter to a read.
    pub(super) fn find_head(&mut self, environment: &Environment<'_>) -> ReadOutcome {
        let Some(head) = self.head() else { return ReadOutcome::Error(self.why_no_head()) };
        let now = environment.services.clock.now_micros();
        if is_rolled(&head, &context(environment.services, now, Some(&head))) {
            return ReadOutcome::Head(head);
        }
        if environment.services.journal_failed.load(Ordering::Relaxed) {
            return ReadOutcome::Stale(head);
        }
        match (self.roll(environment, now, Priority::Read), self.pending.is_empty()) {
            (Err(Busy), _) => ReadOutcome::Stale(head),
            (Ok(()), false) => ReadOutcome::Pending,
            (Ok(()), true) => self.head().map_or(ReadOutcome::Error(ReadError::Unknown), ReadOutcome::Head),
        }
    }

    /// Returns the error of a read of a user without a state.
    pub(super) fn why_no_head(&self) -> ReadError {
        match (self.head_tombstone(), self.damaged()) {
            (Some(_), _) => ReadError::Erased,
            (None, Some(_)) => ReadError::Unavailable,
            (None, None) => ReadError::Unknown,
        }
    }

    /// Has a read wait for the newest pending state.
    pub(super) fn wait(&mut self, request: Request) {
        self.wait_for_tip(Waiter::Read(Box::new(request)));
    }

    /// Answers with the head, which the asker makes its answer from.
    pub(super) fn get_head(&mut self, environment: &Environment<'_>, request: GetHead) {
        match self.find_head(environment) {
            ReadOutcome::Pending => self.wait(Request::GetHead(request)),
            outcome => self.answer_head(request, outcome),
        }
    }

    fn answer_head(&self, request: GetHead, outcome: ReadOutcome) {
        let head = |state, is_stale| CommittedHead { state, is_stale, lease: HeadLease::take(&self.cell) };
        let answer = match outcome {
            ReadOutcome::Pending => Err(ReadError::Busy),
            ReadOutcome::Error(error) => Err(error),
            ReadOutcome::Head(state) => Ok(head(state, false)),
            ReadOutcome::Stale(state) => Ok(head(state, true)),
        };
        // The caller may have stopped waiting.
        let _ = request.answer.send(answer);
    }

    /// Answers a read whose roll to today was not journalled. The head is right for its own day.
    pub(super) fn answer_from_head(&mut self, environment: &Environment<'_>, request: Request) {
        let outcome = self.head().map_or(ReadOutcome::Error(ReadError::Busy), ReadOutcome::Stale);
        match request {
            Request::GetHead(request) => self.answer_head(request, outcome),
            Request::Subscribe(request) => self.answer_subscribe(environment, request, outcome),
            other => other.fail(ReadError::Busy),
        }
    }
}
