//! Changes of one user's snapshots, one after the other.

use domain::id::UserId;
use tokio::sync::{Mutex, MutexGuard};

/// Users share locks, so that they take no memory of their own.
const LOCKS: usize = 64;

/// Locks for users. What is decided from a user's snapshots still holds when it is written.
pub(crate) struct UserTurns([Mutex<()>; LOCKS]);

impl Default for UserTurns {
    fn default() -> Self {
        Self([const { Mutex::const_new(()) }; LOCKS])
    }
}

impl UserTurns {
    /// Waits until no other change of the user's snapshots is under way.
    pub(super) async fn take(&self, user: &UserId) -> MutexGuard<'_, ()> {
        let hash = user.as_str().bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        self.0[hash % LOCKS].lock().await
    }
}
