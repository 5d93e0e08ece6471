//! A look-up of a user in the store, without an actor.

use domain::id::UserId;

use crate::flights::Flight;

/// A look-up that waits for the commit thread and then for a hydration thread. `existence` says what it is for.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) user: UserId,
    /// An id that nobody has. A store that fails for it fails for every user; a store that fails only for `user` would
    /// show that the user exists.
    pub(crate) control: UserId,
    pub(crate) flight: Flight,
}
