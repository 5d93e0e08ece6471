//! A caller whose token was verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::access::Viewer;

use super::account::Account;
use super::key_set::KeyName;
use super::lifetime::Lifetime;
use super::role::Role;
use super::scopes::{Scope, Scopes};

/// A caller whose token was verified.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What all tokens of the subject share.
    pub(crate) account: Arc<Account>,
    pub(crate) role: Role,
    /// What the access table knows the caller as.
    pub(crate) viewer: Viewer,
    pub(crate) scopes: Scopes,
    /// The token or session that the caller has presented.
    pub(crate) token: TokenFacts,
    /// The version of credentials at which the caller was last checked.
    checked_at: AtomicU64,
}

/// What a token says about itself and about the caller's authentication.
#[derive(Debug, Clone)]
pub(crate) struct TokenFacts {
    /// The claim `jti`, by which one token is revoked.
    pub(crate) id: String,
    pub(crate) lifetime: Lifetime,
    /// Whether the claim `amr` holds a second factor: `mfa` or `otp` (RFC 8176).
    pub(crate) second_factor: bool,
    /// The claim `auth_time`, in microseconds since the Unix epoch.
    pub(crate) authenticated_at: Option<i64>,
    /// The claim `tenant`; 0 without it.
    pub(crate) tenant: u32,
    /// The key that has signed the token; `None` for the development key and for sessions.
    pub(crate) key: Option<KeyName>,
}

impl Caller {
    /// Returns a caller that was verified and not checked for revocation yet.
    pub(super) fn new(account: Arc<Account>, role: Role, viewer: Viewer, scopes: Scopes, token: TokenFacts) -> Self {
        Self { account, role, viewer, scopes, token, checked_at: AtomicU64::new(0) }
    }

    /// Whether the caller was checked at this version of credentials.
    pub(super) fn was_checked_at(&self, version: u64) -> bool {
        self.checked_at.load(Ordering::Relaxed) == version
    }

    /// Notes that the caller was checked and is accepted at this version.
    pub(super) fn set_checked_at(&self, version: u64) {
        self.checked_at.store(version, Ordering::Relaxed);
    }

    /// Returns the claim `sub`.
    pub(crate) fn subject(&self) -> &str {
        self.account.subject()
    }

    /// Whether answers to the caller tell how they were served, such as `X-Cache`.
    pub(crate) fn sees_serving(&self) -> bool {
        matches!(self.role, Role::SelfCitizen | Role::Admin)
    }

    /// Whether the caller has the scope.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// Returns an auditor with a token that never expires, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests(subject: &str) -> Arc<Self> {
        Arc::new(Self::with_account(Account::new(subject)))
    }

    /// Returns an auditor as [`Self::for_tests`] does, with this account.
    #[cfg(test)]
    pub(crate) fn with_account(account: Arc<Account>) -> Self {
        let token = TokenFacts {
            id: account.subject().to_string(),
            lifetime: Lifetime { made_from: 0, starts_at: 0, ends_at: i64::MAX },
            second_factor: false,
            authenticated_at: None,
            tenant: 0,
            key: None,
        };
        Self::new(account, Role::Auditor, Viewer::Auditor, Scopes::parse(""), token)
    }
}
