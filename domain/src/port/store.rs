//! The durable state's port: what a user's actor is hydrated from, and how frames fold into state.

use super::journal::Record;
use crate::id::UserId;

/// Receives what is stored of one user piece by piece, so that a load holds a few of the pieces at a time, however many
/// there are.
pub trait LoadVisitor {
    /// Visits the state of the last checkpoint, which comes first; `None` if no checkpoint has seen the user yet. When it
    /// comes again, the load has started over, and the visitor discards what it received before.
    ///
    /// # Errors
    /// The visitor cannot read the body. The load ends with this error, as with those of the other methods.
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError>;

    /// Visits the body of a history block. Blocks come before all frames, the newest first. When a checkpoint runs during
    /// the load, blocks may hold revisions that are newer than the state, and newer than the frames.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn block(&mut self, body: &[u8]) -> Result<(), StoreError>;

    /// Returns whether the visitor needs an older history block than those that it has seen.
    fn needs_history(&self) -> bool {
        true
    }

    /// Visits a frame since the checkpoint. Frames come in the order of their sequences.
    ///
    /// # Errors
    /// See [`Self::checkpoint`]; also if the kind of the record is not known.
    fn frame(&mut self, record: &Record) -> Result<(), StoreError>;

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

    /// Loads a user as [`Self::load`] does, with the history blocks that may hold a revision after `since`. Every such
    /// revision is in one of them or in the frames.
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

/// The kind of a side record. The number is stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SideKind(u8);

impl SideKind {
    /// A run of a user's revisions, numbered by its first one. The block with the greatest number is the newest, and the
    /// only one that may still grow.
    pub const HISTORY: Self = Self::new(1);

    /// Returns the kind with a number from 1 to 63.
    ///
    /// # Panics
    /// On any other number.
    pub const fn new(number: u8) -> Self {
        assert!(number >= 1 && number < 64, "kinds of side records have numbers from 1 to 63");
        Self(number)
    }

    /// Returns the kind that is stored under a number; `None` if no kind can be.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number >= 1 && number < 64 { Some(Self(number)) } else { None }
    }

    /// Returns the number under which the kind is stored.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The name of a side record among those of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SideKey {
    /// The kind of the content.
    pub kind: SideKind,
    /// Distinguishes the records of a kind, and gives their order.
    pub number: u64,
}

/// A record that is stored beside a user's state and read only when it is needed, such as a history block. It is
/// compressed and sealed by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideRecord {
    /// The name of the record.
    pub key: SideKey,
    /// The content, in a form of the domain's.
    pub body: Vec<u8>,
}

/// How frames fold into a state: the one rule that the checkpoint shares with hydration.
pub trait Fold: Send + Sync {
    /// Folds `frames` of one user into `state`, and their changes into the user's side records.
    ///
    /// `newest_block` is the user's newest history block, as the last fold left it.
    ///
    /// # Errors
    /// A body is not in a known format, or a record is of an unknown kind.
    fn fold(
        &self,
        state: Option<&[u8]>,
        newest_block: Option<&SideRecord>,
        frames: &[Record],
    ) -> Result<Folded, StoreError>;
}

/// The result of a fold. State and side records become durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The new state body.
    pub state: Vec<u8>,
    /// The side records that are new or changed, in the order of their keys.
    pub put: Vec<SideRecord>,
    /// The side records that no longer exist.
    pub remove: Vec<SideKey>,
}
