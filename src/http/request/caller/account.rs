//! What the server holds for each subject, whichever of its tokens a request carries.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::http::request::limits::account::AccountLimits;

/// Number of accounts at which unused entries are first removed from the table.
const FIRST_SWEEP: usize = 1_024;

/// What all tokens and sessions of one subject share.
#[derive(Debug)]
pub(crate) struct Account {
    /// The claim `sub`.
    subject: Arc<str>,
    limits: AccountLimits,
}

impl Account {
    /// Returns a new account, which no table holds.
    pub(crate) fn new(subject: &str) -> Arc<Self> {
        Arc::new(Self { subject: Arc::from(subject), limits: AccountLimits::default() })
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

/// The accounts that are in use: those of cached tokens, sessions, sockets and streams. The table does not keep an
/// account alive, so its size is bounded by theirs.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<AccountTable>);

#[derive(Default)]
struct AccountTable {
    by_subject: HashMap<String, Weak<Account>>,
    /// Size of the table at which unused entries are removed.
    sweep_at: usize,
}

impl Accounts {
    /// Returns the account of a subject, which is made if none is in use.
    pub(crate) fn get(&self, subject: &str) -> Arc<Account> {
        let mut table = self.0.lock();
        if let Some(account) = table.by_subject.get(subject).and_then(Weak::upgrade) {
            return account;
        }
        if table.by_subject.len() >= table.sweep_at.max(FIRST_SWEEP) {
            table.by_subject.retain(|_, account| account.strong_count() > 0);
            table.sweep_at = table.by_subject.len() * 2;
        }
        let account = Account::new(subject);
        table.by_subject.insert(subject.to_owned(), Arc::downgrade(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tokens_of_a_subject_share_an_account() {
        let accounts = Accounts::default();
        let first = accounts.get("svc:a");
        assert!(Arc::ptr_eq(&first, &accounts.get("svc:a")));
        assert!(!Arc::ptr_eq(&first, &accounts.get("svc:b")));
    }

    #[test]
    fn unused_accounts_take_no_memory() {
        let accounts = Accounts::default();
        let kept = accounts.get("svc:kept");
        for number in 0..10 * FIRST_SWEEP {
            accounts.get(&format!("svc:{number}"));
        }
        assert!(accounts.0.lock().by_subject.len() <= FIRST_SWEEP);
        assert!(Arc::ptr_eq(&kept, &accounts.get("svc:kept")));
    }
}
