//! The durable state's port: what a user's actor is hydrated from, and how frames fold into state.

use crate::id::UserId;

/// All that is stored of one user that is needed to hydrate: the last checkpoint and the frames after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The current erasure generation.
    pub generation: u32,
    /// The sequence of the newest frame.
    pub sequence: u64,
    /// The state body of the last checkpoint, if there was one.
    pub state: Option<Vec<u8>>,
    /// The bodies of the frames since, in sequence order.
    pub frames: Vec<Vec<u8>>,
}

/// What is stored of one user, with as much history as was asked for.
///
/// Every revision that was asked for is in `blocks`, in `tail`, or in the frames. When a checkpoint runs during the
/// read, one may be in two of them, and `blocks` may hold revisions that are newer than the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHistory {
    /// The checkpoint and the frames since.
    pub stored: Stored,
    /// The closed blocks that may hold a revision that was asked for, oldest first.
    pub blocks: Vec<HistoryBlock>,
    /// The body of the open block that belongs to the checkpoint; empty when there is none.
    pub tail: Vec<u8>,
}

/// Reads users from journal and checkpoints together. Blocks: call it on the hydration threads only.
pub trait ProfileStore: Send + Sync {
    /// Loads one user; `None` for one who was never seen.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load(&self, user: &UserId) -> Result<Option<Stored>, StoreError>;

    /// Loads one user together with the history after revision `since`; `None` for one who was never seen.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load_history(&self, user: &UserId, since: u64) -> Result<Option<StoredHistory>, StoreError>;
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The medium did not answer.
    #[error("the store could not be read while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was read is not what was written (checksum, seal, order).
    #[error("the store holds damaged data: {what}")]
    Damaged {
        /// What is damaged; never a user's data.
        what: String,
    },
}

/// How frames fold into a state: the one rule that the checkpoint shares with hydration.
pub trait Fold: Send + Sync {
    /// Folds `frames` into `state`, and their changes into the user's history.
    ///
    /// `tail` is the body of the user's open history block, as the last fold left it.
    ///
    /// # Errors
    /// A body that is not one of ours.
    fn fold(&self, state: Option<&[u8]>, tail: Option<&[u8]>, frames: &[Vec<u8>]) -> Result<Folded, StoreError>;
}

/// What a fold made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The new state body.
    pub state: Vec<u8>,
    /// History blocks that are full now: they never change again.
    pub closed: Vec<HistoryBlock>,
    /// The open history block's new body; empty when there is none.
    pub tail: Vec<u8>,
}

/// A run of a user's revisions, to be compressed and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBlock {
    /// The first revision in the block.
    pub first_revision: u64,
    /// The block's content, in a form of the domain's.
    pub body: Vec<u8>,
}
