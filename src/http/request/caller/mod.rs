//! Authenticates callers by bearer tokens, which are verified as RFC 8725 requires and then remembered by hash.

mod claims;
mod numeric_date;
mod verify;

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use domain::access::Viewer;
use domain::source::Source;

use super::headers;
use crate::http::problem::{Code, Problem};

pub(crate) use claims::{Act, Audience, Claims};
pub(crate) use numeric_date::NumericDate;
pub(crate) use verify::{Verifier, sign};

/// The role of a caller, named by the claim `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A citizen, who reads and consents for themselves.
    SelfCitizen,
    /// An engine that posts events, or a consumer of profiles.
    Service,
    /// An administrator.
    Admin,
    /// An auditor.
    Auditor,
    /// A tool that acts for a citizen.
    Agent,
}

impl Role {
    /// All roles. The name `legal` is reserved for a later one.
    pub(crate) const ALL: [Self; 5] = [Self::SelfCitizen, Self::Service, Self::Admin, Self::Auditor, Self::Agent];

    /// Returns the role with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns the name in the claim `role`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SelfCitizen => "self",
            Self::Service => "service",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Agent => "agent",
        }
    }

    /// Returns the prefix that the claim `sub` must have.
    pub(crate) const fn subject_prefix(self) -> &'static str {
        match self {
            Self::SelfCitizen => "usr_",
            Self::Service => "svc:",
            Self::Admin => "adm:",
            Self::Auditor => "aud:",
            Self::Agent => "agt:",
        }
    }
}

/// A caller whose token was verified.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The claim `sub`.
    pub(crate) subject: String,
    pub(crate) role: Role,
    /// What the access table knows the caller as.
    pub(crate) viewer: Viewer,
    /// The feeds that the caller may post to.
    pub(crate) feeds: Vec<Source>,
    /// Whether the caller may follow more than one user on a socket.
    pub(crate) live_many: bool,
    /// Whether the caller may follow the events of all users.
    pub(crate) events_read: bool,
    /// The last second in which the token is accepted, its `exp` plus the leeway, in seconds since the Unix epoch.
    pub(crate) ends_at: i64,
}

impl Caller {
    /// Whether answers to the caller tell how they were served, such as `X-Cache`.
    pub(crate) fn sees_serving(&self) -> bool {
        matches!(self.role, Role::SelfCitizen | Role::Admin)
    }
}

/// Why a token is not accepted, as text for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenError(pub(crate) &'static str);

impl From<TokenError> for Problem {
    fn from(refusal: TokenError) -> Self {
        Self::new(Code::InvalidToken, refusal.0)
    }
}

/// Returns the caller of a request.
///
/// # Errors
/// The request has no bearer token, or one that is not accepted.
pub(crate) fn authenticate(verifier: &Verifier, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
    let given = headers::single(headers, &header::AUTHORIZATION)?.ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "send `Authorization: Bearer` with a token from the identity service")
    })?;
    let token = bearer(given.as_bytes())
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "the header `Authorization` must hold a bearer token"))?;
    Ok(verifier.caller(token)?)
}

/// Returns the token of an `Authorization: Bearer` header (RFC 6750). The case of the scheme does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}
