//! What the server holds for each subject, whichever of its tokens a request carries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::http::request::limits::account::AccountLimits;

/// Number of accounts of each half of the table that are kept although nothing uses them.
const HALF: usize = 16_384;

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

/// The accounts of subjects, so that what was counted for a subject counts for its next token too. The table holds a
/// bounded number of them and those in use: the ones of cached tokens, sockets and streams.
///
/// It has two halves, as the table of addresses has. Subjects whose tokens are verified move to the younger half; when
/// that is full, it becomes the older one, whose accounts are forgotten unless they are in use.
#[derive(Default)]
pub(crate) struct Accounts(Mutex<AccountTable>);

#[derive(Default)]
struct AccountTable {
    young: HashMap<Arc<str>, Arc<Account>>,
    old: HashMap<Arc<str>, Arc<Account>>,
}

impl Accounts {
    /// Returns the account of a subject, which is made if there is none.
    pub(crate) fn get(&self, subject: &str) -> Arc<Account> {
        let mut table = self.0.lock();
        if let Some(account) = table.young.get(subject) {
            return Arc::clone(account);
        }
        let account = table.old.remove(subject).unwrap_or_else(|| Account::new(subject));
        if table.young.len() >= HALF {
            table.forget_silent();
        }
        table.young.insert(Arc::clone(&account.subject), Arc::clone(&account));
        account
    }
}

impl AccountTable {
    /// Forgets the accounts of the older half that nothing uses, and makes the younger half the older one. An account in
    /// use stays: a second one of its subject would count anew.
    fn forget_silent(&mut self) {
        self.old.retain(|_, account| Arc::strong_count(account) > 1);
        self.old.extend(self.young.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Accounts {
        fn len(&self) -> usize {
            let table = self.0.lock();
            table.young.len() + table.old.len()
        }
    }

    #[test]
    fn all_tokens_of_a_subject_share_an_account() {
        let accounts = Accounts::default();
        let first = accounts.get("svc:a");
        assert!(Arc::ptr_eq(&first, &accounts.get("svc:a")));
        assert!(!Arc::ptr_eq(&first, &accounts.get("svc:b")));
    }

    #[test]
    fn an_account_outlives_its_tokens() {
        let accounts = Accounts::default();
        let first = Arc::downgrade(&accounts.get("svc:a"));
        for number in 0..HALF {
            accounts.get(&format!("svc:{number}"));
        }
        assert!(first.upgrade().is_some_and(|first| Arc::ptr_eq(&first, &accounts.get("svc:a"))));
    }

    #[test]
    fn silent_accounts_are_forgotten_and_those_in_use_are_not() {
        let accounts = Accounts::default();
        let (used, silent) = (accounts.get("svc:used"), Arc::downgrade(&accounts.get("svc:silent")));
        for number in 0..3 * HALF {
            accounts.get(&format!("svc:{number}"));
            assert!(accounts.len() <= 2 * HALF + 1, "the table is bounded");
        }
        assert!(Arc::ptr_eq(&used, &accounts.get("svc:used")));
        assert!(silent.upgrade().is_none());
    }
}
