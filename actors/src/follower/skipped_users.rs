//! Users whose short visibility a follower has passed without an event.

use std::collections::HashSet;

use domain::id::UserId;

/// Maximum number of users that are remembered. A user beyond it causes one needless event when it becomes hidden.
const MAX_SKIPPED: usize = 16_384;

/// Users who became visible and were hidden again by a later frame, before the follower read either frame. The follower
/// receives an event of neither.
#[derive(Debug, Default)]
pub(super) struct SkippedUsers(HashSet<UserId>);

impl SkippedUsers {
    pub(super) fn add(&mut self, user: UserId) {
        if self.0.len() < MAX_SKIPPED {
            self.0.insert(user);
        }
    }

    /// Removes a user, and returns whether it was there.
    pub(super) fn take(&mut self, user: &UserId) -> bool {
        self.0.remove(user)
    }
}
