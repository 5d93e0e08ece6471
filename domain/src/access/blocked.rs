//! Users whose profiles nobody may read for now: an erasure is scheduled, or is under way and not durable yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Policy;
use crate::id::UserId;

/// Users whom [`Policy::visibility`] hides from everybody, themselves included. Clones share the set.
#[derive(Debug, Clone, Default)]
pub struct BlockedUsers {
    users: Arc<BTreeSet<UserId>>,
    /// How often a user was blocked or unblocked.
    changes: u32,
}

impl BlockedUsers {
    /// Returns the set of these users.
    pub fn new(users: impl IntoIterator<Item = UserId>) -> Self {
        Self { users: Arc::new(users.into_iter().collect()), changes: 0 }
    }

    /// Returns whether a user is blocked. Without any blocked user this looks at one number.
    pub fn has(&self, user: &UserId) -> bool {
        !self.users.is_empty() && self.users.contains(user)
    }

    /// Returns the set after a change, which returns whether it has changed anything.
    fn with(&self, change: impl FnOnce(&mut BTreeSet<UserId>) -> bool) -> Self {
        let mut users = BTreeSet::clone(&self.users);
        if !change(&mut users) {
            return self.clone();
        }
        Self { users: Arc::new(users), changes: self.changes.wrapping_add(1) }
    }
}

impl Policy {
    /// Returns the policy with the blocked users of `other`.
    #[must_use]
    pub fn with_blocked_of(self, other: &Self) -> Self {
        Self { blocked: other.blocked.clone(), ..self }
    }

    /// Returns the policy with these blocked users and no others.
    #[must_use]
    pub fn with_blocked(self, blocked: BlockedUsers) -> Self {
        Self { blocked, ..self }
    }

    /// Returns the policy with one more blocked user.
    #[must_use]
    pub fn block(&self, user: UserId) -> Self {
        let blocked = self.blocked.with(|users| users.insert(user));
        Self { blocked, ..self.clone() }
    }

    /// Returns the policy with one blocked user less.
    #[must_use]
    pub fn unblock(&self, user: &UserId) -> Self {
        let blocked = self.blocked.with(|users| users.remove(user));
        Self { blocked, ..self.clone() }
    }

    /// Returns whether a user is blocked.
    pub fn is_blocked(&self, user: &UserId) -> bool {
        self.blocked.has(user)
    }

    /// Returns what differs wherever something else may be visible: another table, or other blocked users. [`Self::version`]
    /// is that of the table alone, which cursors and records name.
    pub fn view_version(&self) -> (u32, u32) {
        (self.version, self.blocked.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AccessRules, Consent, Viewer, ViewerRules, Visibility};

    #[test]
    fn a_blocked_user_is_hidden_from_everybody_until_unblocked() {
        let all = || ViewerRules { minimal: vec!["*".to_owned()], ..ViewerRules::default() };
        let rules = AccessRules { self_citizen: all(), service: all(), admin: all(), ..AccessRules::default() };
        let open = Policy::compile(&rules).expect("a table");
        let [user, other] = ["usr_7Qm2Xr9TzKpA", "usr_SomebodyElse01"].map(|id| UserId::parse(id).expect("an id"));
        let service = Viewer::Service { profile_read: true, third_party: false, ai_context: false };
        let viewers = [Viewer::SelfCitizen(user), service.clone(), Viewer::Admin { profile_read: true }];
        let sees = |policy: &Policy, viewer: &Viewer| {
            policy.visibility(viewer, &user, Consent::default()) != Visibility::Hidden
        };
        let blocked = open.block(user);
        let reloaded = Policy::compile(&rules).expect("a table").with_blocked_of(&blocked);
        for viewer in &viewers {
            assert!(sees(&open, viewer) && !sees(&blocked, viewer) && !sees(&reloaded, viewer), "{viewer:?}");
            assert!(sees(&blocked.unblock(&user), viewer), "{viewer:?}");
        }
        assert!(blocked.is_blocked(&user) && !blocked.is_blocked(&other));
        assert_ne!(blocked.visibility(&service, &other, Consent::default()), Visibility::Hidden);
        assert_eq!(open.version, blocked.version, "cursors stay valid");
        assert_ne!(open.view_version(), blocked.view_version());
        assert_ne!(blocked.view_version(), blocked.unblock(&user).view_version());
        let loaded = open.clone().with_blocked(BlockedUsers::new([user]));
        assert!(loaded.is_blocked(&user));
    }
}
