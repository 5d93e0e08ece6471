//! Why a follower does not start, and why one ends.

use domain::port::store::StoreError;

/// Why a caller cannot follow the journal.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The text is not a cursor of this server.
    #[error("the cursor is malformed")]
    Malformed,
    /// The cursor is well formed but cannot be continued.
    #[error("the cursor cannot be continued: {why}")]
    Gone {
        /// The reason, for the caller to read.
        why: &'static str,
        /// The oldest cursor that can be continued.
        oldest: String,
    },
    /// The caller already has the maximum number of followers of one caller.
    #[error("the caller has too many event streams open")]
    TooMany,
    /// The maximum number of followers of the whole system is reached.
    #[error("too many event streams are open")]
    Full,
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a follower receives nothing more.
#[derive(Debug, thiserror::Error)]
pub enum FollowEnd {
    /// The access table changed, so cursors made under the old one are not valid any more.
    #[error("the access table has changed")]
    Policy,
    /// The client was so slow that the journal has deleted the frames that come next.
    #[error("the journal is no longer kept that far back")]
    Gone,
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
