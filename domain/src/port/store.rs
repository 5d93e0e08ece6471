//! The durable state's port: what a user's actor is hydrated from, and how frames fold into state.

use super::journal::{Record, RowId};
use crate::erasure::Tombstone;
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

    /// Returns whether the visitor needs history before the state that it has received.
    fn needs_history(&self) -> bool {
        true
    }

    /// Returns the kind of side records that the visitor needs besides history; `None` for none.
    fn side_kind(&self) -> Option<SideKind> {
        None
    }

    /// Visits a side record of the kind that [`Self::side_kind`] names. They come after the state and before history. When a
    /// checkpoint runs during the load, they may be newer than the state, and than the frames.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn side_record(&mut self, record: SideRecord) -> Result<(), StoreError> {
        drop(record);
        Ok(())
    }

    /// Visits a base, the state before the first record of a history block, and returns whether the visitor can begin with
    /// it. Blocks begin with that of the last base that it accepted, or with the oldest one.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError>;

    /// Visits the body of a history block. Blocks come before all frames, the oldest first. When a checkpoint runs during
    /// the load, blocks may hold records that are newer than the state, and newer than the frames.
    ///
    /// # Errors
    /// See [`Self::checkpoint`].
    fn block(&mut self, body: &[u8]) -> Result<(), StoreError>;

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

/// What a load says of the user besides what it hands to its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadedUser {
    /// The user has a state, which the visitor has received.
    Living {
        /// The row of the user.
        row: RowId,
        /// The sequence of the newest frame.
        sequence: u64,
    },
    /// The user was erased. The visitor has received nothing.
    Erased {
        /// The row of the user.
        row: RowId,
        /// What remains.
        tombstone: Tombstone,
    },
}

/// Reads users from journal and checkpoints together. Blocks: call it on the hydration threads only.
pub trait ProfileStore: Send + Sync {
    /// Hands the last checkpoint of one user and the frames since to `visitor`, and returns the user's row and the sequence
    /// of the newest frame, or what remains of an erased user; `None` for a user who was never seen. All pieces are of the
    /// user's present generation.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError>;

    /// Loads a user as [`Self::load`] does, with history from a base that the visitor accepts on. The revision `since` and
    /// every later one is in a base, in a block or in the frames, or made by one of their records.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    fn load_history(
        &self,
        user: &UserId,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError>;

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
    /// A history block: a run of a user's records, numbered by the sequence of its first one. The block with the greatest
    /// number is the newest, and the only one that may still grow.
    pub const HISTORY: Self = Self::new(1);

    /// A base: the state before the first record of the history block with the same number. It is written before that
    /// block is begun, so the block before is closed by it. Not every block has one: reading begins with an older block
    /// then.
    pub const BASE: Self = Self::new(2);

    /// A snapshot that somebody asked for, or the removal of a daily one, numbered by the sequence of the record that says
    /// so.
    pub const SNAPSHOT: Self = Self::new(3);

    /// When the user's history may next have something to remove. There is one, with the number 0.
    pub const RETENTION: Self = Self::new(4);

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

/// How frames fold into a state and a history.
pub trait Fold: Send + Sync {
    /// Replays `frames` of one user over the packed `state`, and returns the packed state after them.
    ///
    /// # Errors
    /// A body is not in a known format, or a record is of an unknown kind.
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError>;

    /// Adds `frames` of one user to the history. `state` is the packed state after the last of them; `newest_block` is
    /// the user's newest history block, unless a base follows it: then the frames begin a new one.
    ///
    /// # Errors
    /// The block is not in a known format, or a record is of an unknown kind.
    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError>;

    /// Returns the packed state with which a user goes on at `sequence` after the frames behind the packed `state` were lost,
    /// and the changes of the side records that belong to it. What the lost frames may have withdrawn is withdrawn. `now` is
    /// in microseconds since the Unix epoch. The state of a fold that counts nothing stays as it is.
    ///
    /// # Errors
    /// The state is not in a known format, or is not before `sequence`.
    fn after_loss(&self, state: &[u8], sequence: u64, now: i64) -> Result<(Vec<u8>, SideChanges), StoreError> {
        let _ = (sequence, now);
        Ok((state.to_vec(), SideChanges::default()))
    }
}

/// The changes of a user's side records. They become durable together with the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideChanges {
    /// The side records that are new or changed, in the order of their keys.
    pub put: Vec<SideRecord>,
    /// The side records that no longer exist.
    pub remove: Vec<SideKey>,
}
