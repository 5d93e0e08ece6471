//! Profiles that nobody may read for now.
//!
//! The access policy hides them. Every read, subscription and follower asks it, so there is no other way to a profile. Exports, which
//! read all users, leave their rows out.

use std::sync::Arc;

use actors::columns::ColumnStore;
use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::id::UserId;
use domain::port::journal::RowId;

/// Hides profiles, and shows them again.
pub(crate) struct ReadBlock {
    policy: Arc<ArcSwap<Policy>>,
    columns: Arc<ColumnStore>,
    /// Has live clients follow the policy.
    changed: Box<dyn Fn() + Send + Sync>,
}

impl ReadBlock {
    /// Returns what hides profiles by `policy`, and their rows in `columns` from exports. `changed` is called after each change
    /// of the policy.
    pub(crate) fn new(
        policy: Arc<ArcSwap<Policy>>,
        columns: Arc<ColumnStore>,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { policy, columns, changed: Box::new(changed) }
    }

    /// Hides a profile from everybody. Reads that begin after this see nothing of it.
    pub(super) fn block(&self, user: UserId, row: RowId) {
        self.columns.withhold(row);
        if !self.policy.load().is_blocked(&user) {
            self.policy.rcu(|policy| policy.block(user));
            (self.changed)();
        }
    }

    /// Shows a profile again.
    pub(super) fn unblock(&self, user: &UserId, row: RowId) {
        self.columns.release(row);
        if self.policy.load().is_blocked(user) {
            self.policy.rcu(|policy| policy.unblock(user));
            (self.changed)();
        }
    }
}
