//! Projections: what is kept of every user beside the profiles, row by row, and follows each commit.
//!
//! A projection lives in memory. It is filled at a start: from what a checkpoint saved of it, or else from the states of all
//! users. Commits reach it all the while.

use super::journal::{Record, RowId};
use super::log::LogPosition;
use super::store::StoreError;
use crate::erasure::Tombstone;
use crate::state::UserState;
use crate::table::LeafSet;

/// Receives committed states.
pub trait Projection: Send + Sync {
    /// Returns the leaves whose change concerns the projection. Commits that change none of them are not passed to it. One
    /// of them changes with every first commit of a user.
    fn interest(&self) -> LeafSet;

    /// Takes the newest committed state of a user. It differs from the user's last one in the leaves `changed`.
    ///
    /// The commits of one user come in their order. It is called before the commit is answered, so it must not block.
    fn committed(&self, row: RowId, state: &UserState, changed: LeafSet);

    /// Takes the state of a user as the store has it, with every commit of the user up to now, some of which may not have
    /// been passed to the projection.
    fn loaded(&self, row: RowId, state: &UserState);

    /// Forgets a user whose erasure is durable. Called in the order of the user's commits, before the erasure is answered, so
    /// it must not block; or after a load, as [`Self::loaded`] is.
    fn erased(&self, row: RowId, tombstone: &Tombstone);
}

/// Gives a checkpoint what to save of a projection. Called by one thread at a time, which may block.
pub trait ProjectionSource: Send + Sync {
    /// Waits until the projection has everything that was durable when the call began, and returns a position up to which
    /// it has everything. `None` if it is not complete, or does not get there in time.
    fn settle(&self) -> Option<LogPosition>;

    /// Returns a number that what is saved now cannot be read without: it differs where its bytes mean something else.
    fn layout(&self) -> u32;

    /// Hands the content to `save`, in pieces of some 100 KB. They hold everything up to the position that
    /// [`Self::settle`] returned before, and may hold later commits.
    ///
    /// # Errors
    /// That of `save`.
    fn pieces(&self, save: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// Reads what a projection is filled from. Its methods block, and may be called from several threads.
pub trait ProjectionStore: Send + Sync {
    /// Returns what the last checkpoint saved of a projection with this layout; `None` if there is nothing that can be used.
    fn saved(&self, layout: u32) -> Option<Box<dyn SavedProjection>>;

    /// Returns a scan of the users with frames from a position on, or of all users.
    ///
    /// # Errors
    /// The store could not be read.
    fn scan(&self, since: Option<LogPosition>) -> Result<Box<dyn UserScan>, StoreError>;
}

/// A saved projection.
pub trait SavedProjection: Send + Sync {
    /// Returns the position in the journal up to which it has everything.
    fn position(&self) -> LogPosition;

    /// Returns the number of its pieces.
    fn pieces(&self) -> u32;

    /// Reads a piece, by its number from 0.
    ///
    /// # Errors
    /// The piece could not be read, or is not what was written.
    fn read(&self, number: u32) -> Result<Vec<u8>, StoreError>;
}

/// A user that a scan visits.
#[derive(Debug, Clone)]
pub enum VisitedUser {
    /// The user has a state.
    Living(StoredState),
    /// The user was erased: nothing of the row may remain.
    Erased(RowId, Tombstone),
}

/// The state of a user as it is stored, and the frames since.
#[derive(Clone)]
pub struct StoredState {
    /// The row of the user.
    pub row: RowId,
    /// The packed state of the last checkpoint; `None` if no checkpoint has seen the user yet.
    pub packed: Option<Vec<u8>>,
    /// The later frames, in the order of their sequences.
    pub frames: Vec<Record>,
}

impl std::fmt::Debug for StoredState {
    // The state is a citizen's data in plain.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredState({} frames)", self.frames.len())
    }
}

/// A scan of stored users, in parts that several threads can share. A user that was stored when the scan began is visited
/// in one of the parts, with at least everything that was durable when the part began.
pub trait UserScan: Send + Sync {
    /// Returns the number of parts.
    fn parts(&self) -> usize;

    /// Returns the rows of the users that will be visited, if the scan is not of all users.
    fn rows(&self) -> &[RowId];

    /// Hands the users of a part to `visit`, by its number from 0. A user that cannot be read is an error.
    ///
    /// # Errors
    /// The store could not be read any further.
    fn visit(&self, part: usize, visit: &mut dyn FnMut(Result<VisitedUser, StoreError>)) -> Result<(), StoreError>;
}

/// A store in which no user is, for live states that begin without any.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingStored;

impl ProjectionStore for NothingStored {
    fn saved(&self, _: u32) -> Option<Box<dyn SavedProjection>> {
        None
    }

    fn scan(&self, _: Option<LogPosition>) -> Result<Box<dyn UserScan>, StoreError> {
        Ok(Box::new(Self))
    }
}

impl UserScan for NothingStored {
    fn parts(&self) -> usize {
        0
    }

    fn rows(&self) -> &[RowId] {
        &[]
    }

    fn visit(&self, _: usize, _: &mut dyn FnMut(Result<VisitedUser, StoreError>)) -> Result<(), StoreError> {
        Ok(())
    }
}
