//! Asking for a user's committed state, which all reads are answered from.

use std::sync::Arc;

use domain::state::UserState;
use tokio::sync::oneshot;

use crate::error::ReadError;
use crate::head::HeadLease;

/// Asks for the committed state, rolled to today.
#[derive(Debug)]
pub(crate) struct GetHead {
    pub(crate) answer: oneshot::Sender<Result<CommittedHead, ReadError>>,
}

/// A user's newest committed state, as its actor answered it. The reader shares it with the actor: nothing is copied.
#[derive(Debug)]
pub(crate) struct CommittedHead {
    pub(crate) state: Arc<UserState>,
    /// Whether the state is of an earlier day or of earlier rules, because the roll to today cannot be journalled now. What
    /// is made from it is not cached, so that the next read tries to roll again.
    pub(crate) is_stale: bool,
    pub(crate) lease: HeadLease,
}
