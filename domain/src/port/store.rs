//! The durable state's port: what a user's actor is hydrated from, and how frames fold into state.

use crate::id::UserId;

/// The data of one user in the last checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpointed {
    /// The state body; `None` if no checkpoint has seen the user yet.
    pub state: Option<Vec<u8>>,
    /// The body of the open history block; empty when there is none.
    pub tail: Vec<u8>,
}

/// Receives what is stored of one user piece by piece, so that a load holds a few of the pieces at a time, however many
/// there are.
pub trait LoadVisitor {
    /// Visits the last checkpoint, which comes first. When it comes again, the load has started over, and the visitor
    /// discards what it received before.
    ///
    /// # Errors
    /// The visitor cannot read the body. The load ends with this error, as with those of the other methods.
    fn checkpoint(&mut self, checkpointed: Checkpointed) -> Result<(), StoreError>;

    /// Visits the body of a closed history block. Blocks come before all frames, the newest first. When a checkpoint
    /// runs during the load, blocks may repeat revisions of the open block, and may hold revisions that are newer than
    /// the frames.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn block(&mut self, body: &[u8]) -> Result<(), StoreError>;

    /// Visits the body of a frame since the checkpoint. Frames come in the order of their sequences.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn frame(&mut self, body: &[u8]) -> Result<(), StoreError>;

    /// Returns whether the visitor needs no more pieces.
    fn is_done(&self) -> bool {
        false
    }
}

/// Reads users from journal and checkpoints together. Blocks: call it on the hydration threads only.
pub trait ProfileStore: Send + Sync {
    /// Hands the last checkpoint of one user and the frames since to `visitor`, and returns the sequence of the newest
    /// frame; `None` for a user who was never seen.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<u64>, StoreError>;

    /// Loads a user as [`Self::load`] does, with the closed history blocks that may hold a revision after `since`.
    /// Every such revision is in one of them, in the open block, or in the frames.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load_history(&self, user: &UserId, since: u64, visitor: &mut dyn LoadVisitor)
    -> Result<Option<u64>, StoreError>;

    /// Returns the number of journal bytes that are not in a checkpoint yet. 0 for a store without checkpoints.
    fn unfolded_bytes(&self) -> u64 {
        0
    }
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The stored bytes could not be read.
    #[error("the store could not be read while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The cause, as the medium reports it.
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
    /// A body is not in a known format.
    fn fold(&self, state: Option<&[u8]>, tail: Option<&[u8]>, frames: &[Vec<u8>]) -> Result<Folded, StoreError>;
}

/// The result of a fold.
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
