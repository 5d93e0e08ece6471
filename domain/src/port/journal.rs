//! The port of the journal. Only a commit through it makes an event count as acknowledged.

use crate::id::UserId;

/// The kind of a record's content. The number is stored: never reuse one. Numbers are from 1 to 127.
///
/// A journal hands records of every kind on, also of kinds that a newer release has written. Who reads a record decides
/// about its kind, and an unknown kind concerns only the user of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// A change of a user's state: an event's writes, or a day's roll.
    pub const CHANGE: Self = Self(1);

    /// Changes that were merged into one when history was thinned. Only history has them, never the journal.
    pub const MERGED: Self = Self(2);

    /// The erasure of a user, the last record of a generation. Its body is a tombstone (`crate::erasure`). The next record of
    /// the user begins the next generation.
    pub const ERASURE: Self = Self(3);
}

/// The content of one frame, in plain. The journal seals it under the user's own key, and an erasure, which is read when that
/// key is destroyed, under a key of the system.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The user that the frame belongs to.
    pub user: UserId,
    /// The erasure generation that the frame belongs to, from 1. The record after an erasure has the next one.
    pub generation: u32,
    /// The user's own count of frames, from 1, over generations. The journal refuses any that is not its last + 1.
    pub sequence: u64,
    /// The kind of the body's content.
    pub kind: RecordKind,
    /// The frame's content, in a form of the domain's (`crate::record`).
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Record {
    // The body is a citizen's data in plain.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record(sequence {}, {} bytes)", self.sequence, self.body.len())
    }
}

/// The number under which projections keep a user. Numbers are dense and never reused, and a user keeps the number for life.
///
/// It is known where a user's records are: the journal's answer to an append has it, and so has a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u32);

/// A durable log of records.
///
/// A plain synchronous trait: the commit thread blocks in it anyway.
pub trait Journal: Send {
    /// Appends `group`, syncs it, and returns for each record whether it was taken, with the row of its user.
    ///
    /// When it returns `Ok`, every record whose entry is `Ok` is durable. A record that is refused
    /// does not harm its neighbours.
    ///
    /// # Errors
    /// The whole group failed. [`JournalError::NotTaken`]: nothing of it will ever be seen again.
    /// [`JournalError::UnknownFate`]: it may or may not be there after a restart.
    fn append(&mut self, group: &[Record]) -> Result<Vec<AppendResult>, JournalError>;
}

/// The outcome of one record of an append.
pub type AppendResult = Result<RowId, OutOfSequence>;

/// The error for a record whose sequence does not continue its user's frames, because another incarnation of the
/// user's actor has written in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record does not continue its user's frames: sequence {expected} comes next")]
pub struct OutOfSequence {
    /// The sequence that would have been taken.
    pub expected: u64,
}

/// A group that could not be made durable.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written, and a later try may succeed (a full disk, for example).
    #[error("the journal could not take the group")]
    NotTaken(#[source] std::io::Error),
    /// The write or its sync failed and could not be repeated elsewhere: writes are refused until restart.
    #[error("the journal failed and refuses writes until restart")]
    UnknownFate(#[source] std::io::Error),
}

/// Something that is durable. Only [`commit`] makes one, so an acknowledgement or a publication
/// before the journal has confirmed it does not compile.
#[derive(Debug)]
pub struct Committed<T> {
    value: T,
    row: RowId,
}

impl<T> Committed<T> {
    /// Returns what was committed.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Returns the committed value.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the row of the user whose record was committed.
    pub fn row(&self) -> RowId {
        self.row
    }
}

/// The outcome of one element of a group.
pub type CommitResult<T> = Result<Committed<T>, (OutOfSequence, T)>;

/// Makes `group` durable and turns each element into a [`Committed`], or hands it back.
///
/// `records` and `payloads` correspond by position.
///
/// # Errors
/// The journal's own error, with all the payloads.
///
/// # Panics
/// If the two differ in length, or the journal answers for another number of records.
pub fn commit<T>(
    journal: &mut dyn Journal,
    records: &[Record],
    payloads: Vec<T>,
) -> Result<Vec<CommitResult<T>>, (JournalError, Vec<T>)> {
    assert_eq!(records.len(), payloads.len(), "a payload for each record");
    match journal.append(records) {
        Err(error) => Err((error, payloads)),
        Ok(results) => {
            assert_eq!(results.len(), payloads.len(), "the journal answers for each record");
            let verdict = |(result, value): (AppendResult, T)| match result {
                Ok(row) => Ok(Committed { value, row }),
                Err(refused) => Err((refused, value)),
            };
            Ok(results.into_iter().zip(payloads).map(verdict).collect())
        }
    }
}
