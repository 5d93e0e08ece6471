//! Reading users from the store. All of these functions block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::erasure::Tombstone;
use domain::id::UserId;
use domain::past::PastProfile;
use domain::port::journal::RowId;
use domain::port::log::NewestRecord;
use domain::port::store::{LoadedUser, ProfileStore, StoreError};
use domain::record::{Hydration, Rewind};
use domain::state::UserState;

/// A user that was loaded.
#[derive(Debug)]
pub(crate) struct HydratedUser {
    pub(crate) user: UserId,
    /// What is stored; `None` if the user does not exist.
    pub(crate) head: Result<Option<StoredHead>, StoreError>,
    /// The newest record of a user whose state is damaged: such a user can still be erased.
    pub(crate) newest_of_damaged: Option<NewestRecord>,
}

/// What is stored of a user, and the user's row.
#[derive(Debug, Clone)]
pub(crate) enum StoredHead {
    State(RowId, Arc<UserState>),
    Erased(RowId, Tombstone),
}

impl StoredHead {
    /// Returns the state; `None` if the user was erased.
    pub(crate) fn state(&self) -> Option<&UserState> {
        match self {
            Self::State(_, state) => Some(state),
            Self::Erased(..) => None,
        }
    }
}

/// Loads a user's state or tombstone; `None` if the user does not exist.
pub(crate) fn load(
    store: &dyn ProfileStore,
    user: &UserId,
    hydration: &mut Hydration,
) -> Result<Option<StoredHead>, StoreError> {
    guarded(|| {
        let (row, sequence) = match store.load(user, hydration)? {
            None => return Ok(None),
            Some(LoadedUser::Erased { row, tombstone }) => return Ok(Some(StoredHead::Erased(row, tombstone))),
            Some(LoadedUser::Living { row, sequence }) => (row, sequence),
        };
        match hydration.take_state() {
            Some(state) if state.sequence != sequence => {
                Err(damaged(format!("the frames lead to sequence {} and not to {sequence}", state.sequence)))
            }
            state => Ok(state.map(|state| StoredHead::State(row, Arc::new(state)))),
        }
    })
}

/// Loads a user's profile as it was at `revision`; `None` if the store does not reach back to it.
pub(crate) fn load_past(
    store: &dyn ProfileStore,
    user: &UserId,
    revision: u64,
) -> Result<Option<PastProfile>, StoreError> {
    guarded(|| {
        let mut rewind = Rewind::new(revision);
        store.load_history(user, revision, &mut rewind)?;
        Ok(rewind.finish().past())
    })
}

/// Runs a read of the store. A panic in it means that the stored bytes are damaged.
fn guarded<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged("reading it panicked".to_owned())))
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { what }
}
