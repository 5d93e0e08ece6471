//! What the server holds for each subject, whichever of its tokens a request carries.

use std::collections::HashMap;
use std::sync::Arc;

use domain::limits::RestingTable;
use parking_lot::Mutex;

use super::token_hash::{Hashed, TokenHashKey};
use crate::http::request::limits::account::AccountLimits;
use crate::http::request::limits::clock;

/// Number of tables, each with its lock.
const SHARDS: usize = 16;
/// Number of accounts of each half of a table that are kept although nothing uses them.
const HALF: usize = 16_384 / SHARDS;
/// Number of silent subjects of a table whose calls are still counted. One takes about 60 bytes, and more if it calls again and
/// again.
const RESTING: usize = (1 << 20) / SHARDS;

/// What all tokens and sessions of one subject share.
#[derive(Debug)]
pub(crate) struct Account {
    /// The claim `sub`.
    subject: Arc<str>,
    limits: AccountLimits,
}

impl Account {
    /// Returns a new account, which no table holds.
    #[cfg(test)]
    pub(crate) fn new(subject: &str) -> Arc<Self> {
        Self::with(subject, AccountLimits::default())
    }

    fn with(subject: &str, limits: AccountLimits) -> Arc<Self> {
        Arc::new(Self { subject: Arc::from(subject), limits })
    }

    /// Returns the claim `sub`.
    pub(crate) fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// Returns what the rate limits have counted for the subject.
    pub(crate) fn limits(&self) -> &AccountLimits {
        &self.limits
    }
}

/// The accounts of subjects, so that what was counted for a subject counts for its next token too. The table holds a
/// bounded number of them and those in use: the ones of cached tokens, sockets and streams.
///
/// It has two halves, as the table of addresses has. Subjects whose tokens are verified move to the younger half; when
/// that is full, it becomes the older one. Its accounts that are not in use are dropped, and what is still counted for them is
/// kept in less memory. So nobody gets a new count by making the server forget an account, with however many other subjects.
pub(crate) struct Accounts {
    shards: [Mutex<AccountTable>; SHARDS],
    /// The key of the hashes of subjects, which is random, so that nobody can choose two subjects with the same hash.
    hash_key: TokenHashKey,
}

struct AccountTable {
    young: HashMap<Arc<str>, Arc<Account>>,
    old: HashMap<Arc<str>, Arc<Account>>,
    /// What subjects without an account have called, by their hash.
    resting: RestingTable,
}

impl Accounts {
    /// Returns an empty table. `hash_key` is random.
    pub(crate) fn new(hash_key: [u8; 16]) -> Self {
        let table = || AccountTable { young: HashMap::new(), old: HashMap::new(), resting: RestingTable::new(RESTING) };
        Self { shards: std::array::from_fn(|_| Mutex::new(table())), hash_key: TokenHashKey::new(hash_key) }
    }

    /// Returns the account of a subject, which is made if there is none.
    pub(crate) fn get(&self, subject: &str) -> Arc<Account> {
        self.get_at(subject, clock::now())
    }

    /// Returns the account of a subject at the time `now` of the windows.
    pub(crate) fn get_at(&self, subject: &str, now: u64) -> Arc<Account> {
        let hash = hash(&self.hash_key, subject);
        self.shards[hash as usize % SHARDS].lock().get(subject, hash, &self.hash_key, now)
    }

    /// Returns the number of accounts, and of subjects that have calls and no account.
    #[cfg(test)]
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let tables = self.shards.iter().map(Mutex::lock);
        tables.fold((0, 0), |(accounts, resting), table| {
            (accounts + table.young.len() + table.old.len(), resting + table.resting.len())
        })
    }
}

impl AccountTable {
    fn get(&mut self, subject: &str, hash: u64, hash_key: &TokenHashKey, now: u64) -> Arc<Account> {
        if let Some(account) = self.young.get(subject) {
            return Arc::clone(account);
        }
        let known = self.old.remove(subject);
        let account = known.unwrap_or_else(|| {
            let limits = self.resting.take(hash).map(AccountLimits::resume);
            Account::with(subject, limits.unwrap_or_default())
        });
        if self.young.len() >= HALF {
            self.rest_silent(hash_key, now);
        }
        self.young.insert(Arc::clone(&account.subject), Arc::clone(&account));
        account
    }

    /// Drops the accounts of the older half that nothing uses, and makes the younger half the older one. An account in use
    /// stays: a second one of its subject would count anew.
    fn rest_silent(&mut self, hash_key: &TokenHashKey, now: u64) {
        let resting = &mut self.resting;
        self.old.retain(|subject, account| {
            // Others get an account from the table only, which is locked.
            let is_used = Arc::strong_count(account) > 1;
            if !is_used && let Some(counters) = account.limits.rest(now) {
                resting.put(hash(hash_key, subject), counters, now);
            }
            is_used
        });
        self.old.extend(self.young.drain());
    }
}

fn hash(key: &TokenHashKey, subject: &str) -> u64 {
    key.hash(Hashed::Subject, subject.as_bytes()).half()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of accounts that are kept although nothing uses them.
    const KEPT: usize = 2 * SHARDS * HALF;

    #[test]
    fn all_tokens_of_a_subject_share_an_account() {
        let accounts = Accounts::new([7; 16]);
        let first = accounts.get("svc:a");
        assert!(Arc::ptr_eq(&first, &accounts.get("svc:a")));
        assert!(!Arc::ptr_eq(&first, &accounts.get("svc:b")));
    }

    #[test]
    fn an_account_outlives_its_tokens() {
        let accounts = Accounts::new([7; 16]);
        let first = Arc::downgrade(&accounts.get("svc:a"));
        for number in 0..KEPT / 4 {
            accounts.get(&format!("svc:{number}"));
        }
        assert!(first.upgrade().is_some_and(|first| Arc::ptr_eq(&first, &accounts.get("svc:a"))));
    }

    #[test]
    fn silent_accounts_are_dropped_and_those_in_use_are_not() {
        let accounts = Accounts::new([7; 16]);
        let (used, silent) = (accounts.get("svc:used"), Arc::downgrade(&accounts.get("svc:silent")));
        for number in 0..2 * KEPT {
            accounts.get(&format!("svc:{number}"));
        }
        let (kept, resting) = accounts.lengths();
        assert!(kept <= KEPT + 1 && resting == 0, "{kept} accounts, {resting} with calls");
        assert!(Arc::ptr_eq(&used, &accounts.get("svc:used")));
        assert!(silent.upgrade().is_none());
    }
}
