//! Requests that wait for their user's actor.

use smallvec::{SmallVec, smallvec};

use super::Request;
use crate::error::ReadError;

/// The requests that arrived while a user was being started. Mostly it is one: boxed with it, this is one allocation, which
/// goes on to the actor.
#[derive(Debug, Default)]
pub(crate) struct WaitingRequests {
    /// In arrival order until [`Self::begin`], the first last after it.
    requests: SmallVec<[Request; 1]>,
}

impl WaitingRequests {
    /// Returns the request that the user is started for.
    pub(crate) fn from_first(request: Request) -> Self {
        Self { requests: smallvec![request] }
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Adds a request behind the others.
    pub(crate) fn push(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Returns whether one of them is a write.
    pub(crate) fn has_write(&self) -> bool {
        self.requests.iter().any(Request::is_write)
    }

    /// Returns whether one of them is an erasure.
    pub(crate) fn has_erasure(&self) -> bool {
        self.requests.iter().any(|request| matches!(request, Request::Erase(_)))
    }

    /// Prepares for [`Self::next`]. Nothing may be added any more.
    pub(crate) fn begin(&mut self) {
        self.requests.reverse();
    }

    /// Takes the first request.
    pub(crate) fn next(&mut self) -> Option<Request> {
        self.requests.pop()
    }

    /// Answers all of them with an error.
    pub(crate) fn fail(self, error: ReadError) {
        self.requests.into_iter().for_each(|request| request.fail(error));
    }
}
