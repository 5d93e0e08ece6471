//! Who is calling: bearer tokens, checked as RFC 8725 wants them, verified once and remembered by hash.

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

/// What a caller is. The name stands in the claim `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The citizen.
    SelfCitizen,
    /// An engine or consumer.
    Service,
    /// An administrator.
    Admin,
    /// An auditor.
    Auditor,
    /// A tool acting for a citizen.
    Agent,
}

impl Role {
    /// Every role that is served. `legal` is reserved.
    pub(crate) const ALL: [Self; 5] = [Self::SelfCitizen, Self::Service, Self::Admin, Self::Auditor, Self::Agent];

    /// The role of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The name in the claim `role`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SelfCitizen => "self",
            Self::Service => "service",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Agent => "agent",
        }
    }

    /// What the claim `sub` begins with.
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
    pub(crate) subject: String,
    pub(crate) role: Role,
    pub(crate) viewer: Viewer,
    /// The sources that it may post to.
    pub(crate) feeds: Vec<Source>,
    /// Whether one socket of its may follow more than one user.
    pub(crate) live_many: bool,
    /// Whether it may follow the events of all users.
    pub(crate) events_read: bool,
    /// When the token stops to be accepted: its `exp` and the leeway, in seconds since the Unix epoch.
    pub(crate) ends_at: i64,
}

impl Caller {
    /// Whether answers may tell how they were made: to self and admin only.
    pub(crate) fn sees_serving(&self) -> bool {
        matches!(self.role, Role::SelfCitizen | Role::Admin)
    }
}

/// Why a token is not accepted, for the caller to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenError(pub(crate) &'static str);

impl From<TokenError> for Problem {
    fn from(refusal: TokenError) -> Self {
        Self::new(Code::InvalidToken, refusal.0)
    }
}

/// The caller of a request.
pub(crate) fn authenticate(verifier: &Verifier, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
    let given = headers::single(headers, &header::AUTHORIZATION)?.ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "send `Authorization: Bearer` with a token from the identity service")
    })?;
    let token = bearer(given.as_bytes())
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "the header `Authorization` must hold a bearer token"))?;
    Ok(verifier.caller(token)?)
}

/// The token of a bearer header (RFC 6750); the scheme's case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}
