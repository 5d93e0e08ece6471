//! State of the handlers of dead letters, and what they share.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::web::Data;
use domain::port::dead_letters::{LetterId, RejectedEvents};
use domain::port::store::StoreError;
use domain::source::Source;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::super::FeedState;
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;

/// Maximum number of requests that read letters at the same time. Each may hold a few megabytes.
const MAX_READS: usize = 8;
/// Maximum number of letters that are retried at the same time. Each holds its event.
const MAX_RETRIES: usize = 32;

/// State of `/api/v2/feeds/{source}/rejected…`.
pub(crate) struct RejectedState {
    pub(super) feed: Data<FeedState>,
    pub(super) letters: Arc<dyn RejectedEvents>,
    reads: Semaphore,
    retrying: Mutex<HashSet<(Source, LetterId)>>,
}

/// The right to retry a letter, which one request has at a time.
pub(super) struct RetryClaim<'a> {
    state: &'a RejectedState,
    letter: (Source, LetterId),
}

impl Drop for RetryClaim<'_> {
    fn drop(&mut self) {
        self.state.retrying.lock().remove(&self.letter);
    }
}

impl RejectedState {
    /// Returns the state for the letters of a feed.
    pub(crate) fn new(feed: Data<FeedState>, letters: Arc<dyn RejectedEvents>) -> Self {
        Self { feed, letters, reads: Semaphore::new(MAX_READS), retrying: Mutex::default() }
    }

    /// Claims a letter for a retry.
    ///
    /// # Errors
    /// Another request has it, or too many letters are retried.
    pub(super) fn claim(&self, source: Source, id: LetterId) -> Result<RetryClaim<'_>, Problem> {
        let letter = (source, id);
        let mut retrying = self.retrying.lock();
        if retrying.len() >= MAX_RETRIES {
            return Err(Problem::new(Code::Busy, "too many dead letters are retried: try again"));
        }
        if !retrying.insert(letter) {
            return Err(Problem::new(Code::NotRetryable, "another retry of this letter is under way"));
        }
        Ok(RetryClaim { state: self, letter })
    }

    /// Works on stored letters, on a thread that may block.
    ///
    /// # Errors
    /// Too many requests read letters, or the store has failed.
    pub(super) async fn with_letters<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn RejectedEvents) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = |_| Problem::new(Code::Busy, "too many requests read dead letters: try again");
        let _permit = self.reads.try_acquire().map_err(busy)?;
        let letters = Arc::clone(&self.letters);
        blocking(move || work(&*letters)).await?.map_err(|error| {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(error = cause, "dead letters could not be read or changed");
            Problem::new(Code::Unavailable, "the dead letters cannot be read or changed now: try again")
        })
    }
}

/// Returns the source of the path.
///
/// # Errors
/// There is no such source.
pub(super) fn source(context: &RequestContext) -> Result<Source, Problem> {
    Source::parse(context.request.match_info().query("source"))
        .ok_or_else(|| Problem::new(Code::UnknownResource, "there is no feed with this name"))
}
