//! Users whose loads have found damage, although nothing of them is in quarantine: all their frames are folded, so that no
//! checkpoint comes across it.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::Mutex;

use crate::user_hash::UserHash;

/// Maximum number of users that are noted. If all users are damaged, as with the keyring of another directory, these stand for
/// them.
const MAX_USERS: usize = 10_000;

/// A load that has found damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedLoad {
    /// In microseconds since the Unix epoch; 0 if not known.
    pub(crate) since: i64,
    /// What the load has reported; never a user's data.
    pub(crate) message: String,
}

/// The users whose last load has found damage, since the start.
#[derive(Default)]
pub(crate) struct UnreadableUsers(Mutex<BTreeMap<UserHash, FailedLoad>>);

impl UnreadableUsers {
    /// Notes a load that has failed. The first one of a user counts.
    pub(super) fn note(&self, user: UserHash, failed: FailedLoad) {
        let mut users = self.0.lock();
        if users.len() < MAX_USERS {
            users.entry(user).or_insert(failed);
        }
    }

    /// Forgets a user, who can be read, is in quarantine, or is erased.
    pub(crate) fn forget(&self, user: &UserHash) {
        self.0.lock().remove(user);
    }

    /// Returns the load of a user that has failed.
    pub(crate) fn get(&self, user: &UserHash) -> Option<FailedLoad> {
        self.0.lock().get(user).cloned()
    }

    /// Returns users behind `after`, in the order of their hashes, at most `limit`.
    pub(crate) fn after(&self, after: Option<UserHash>, limit: usize) -> Vec<UserHash> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.lock().range((from, Bound::Unbounded)).map(|(user, _)| *user).take(limit).collect()
    }

    /// Returns the number of users.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_load_of_a_user_counts_and_their_number_is_bounded() {
        let users = UnreadableUsers::default();
        let user = |number: u32| {
            let mut hash = [0; 16];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            UserHash(hash)
        };
        let failed = |since| FailedLoad { since, message: "slot 7".to_owned() };
        (0..=MAX_USERS as u32).for_each(|number| users.note(user(number), failed(1)));
        users.note(user(3), failed(2));
        assert_eq!((users.get(&user(3)), users.count()), (Some(failed(1)), MAX_USERS));
        assert_eq!(users.after(Some(user(3)), 2), [user(4), user(5)]);
        users.forget(&user(4));
        assert_eq!((users.get(&user(4)), users.after(Some(user(3)), 1)), (None, vec![user(5)]));
    }
}
