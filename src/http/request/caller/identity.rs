//! A caller whose token was verified.

use std::sync::Arc;

use domain::access::Viewer;

use super::account::Account;
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
    /// The token that the caller has presented.
    pub(crate) token: TokenFacts,
}

/// What a token says about itself and about the caller's authentication.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "revocation and the check of the second factor read them")]
pub(crate) struct TokenFacts {
    /// The claim `jti`, by which one token is revoked.
    pub(crate) id: String,
    /// The claim `iat`, in microseconds since the Unix epoch.
    pub(crate) issued_at: i64,
    /// The last second in which the token is accepted, its `exp` plus the leeway, in seconds since the Unix epoch.
    pub(crate) ends_at: i64,
    /// Whether the claim `amr` holds a second factor: `mfa` or `otp` (RFC 8176).
    pub(crate) second_factor: bool,
    /// The claim `auth_time`, in microseconds since the Unix epoch.
    pub(crate) authenticated_at: Option<i64>,
    /// The claim `tenant`; `0` without it.
    pub(crate) tenant: String,
}

impl Caller {
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
        let token = TokenFacts {
            id: subject.to_owned(),
            issued_at: 0,
            ends_at: i64::MAX,
            second_factor: false,
            authenticated_at: None,
            tenant: "0".to_owned(),
        };
        let (account, scopes) = (Account::new(subject), Scopes::parse(""));
        Arc::new(Self { account, role: Role::Auditor, viewer: Viewer::Auditor, scopes, token })
    }
}
