//! Finds the credentials of a request: its bearer token, or the cookie of a session.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::caller::csrf_token;
use super::headers;
use crate::http::problem::{Code, Problem};

static X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Returns the bearer token of a request (RFC 6750); `None` without the header `Authorization`. The case of the scheme does not matter.
///
/// # Errors
/// The header `Authorization` holds something else.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let Some(given) = headers::single(headers, &header::AUTHORIZATION)? else { return Ok(None) };
    let (scheme, token) = given.as_bytes().split_at_checked(7).unwrap_or_default();
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() {
        return Ok(Some(token));
    }
    Err(Problem::new(Code::Unauthenticated, "the header `Authorization` must hold a bearer token"))
}

/// The cookie of sessions.
pub(crate) struct SessionCookie {
    /// Whether browsers send the cookie over TLS only.
    pub(crate) secure: bool,
}

impl SessionCookie {
    /// Returns the name. Browsers accept a name with `__Host-` only from this host, over TLS, and for all paths, so no other
    /// host can plant a cookie of that name (RFC 6265bis, section 4.1.3.2).
    const fn name(&self) -> &'static str {
        if self.secure { "__Host-profile_session" } else { "profile_session" }
    }

    /// Returns the secret in the cookie of a request; `None` if it has none.
    ///
    /// # Errors
    /// The request has several cookies of the name: one of them was planted.
    pub(crate) fn secret<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h str>, Problem> {
        let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == self.name()).map(|(_, value)| value);
        let first = found.next().filter(|value| !value.is_empty());
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Problem::new(Code::InvalidRequest, "the cookie of the session must not be repeated")),
        }
    }

    /// Returns the header that sets the cookie for `life`; a life of zero removes it. Scripts cannot read the cookie, and
    /// requests of other sites do not carry it.
    ///
    /// # Errors
    /// The secret cannot be in a header.
    pub(crate) fn set(&self, secret: &str, life: Duration) -> Result<HeaderValue, Problem> {
        let (name, seconds) = (self.name(), life.as_secs());
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_maybe_shared(Bytes::from(text))
            .map_err(|_| Problem::new(Code::Internal, "the cookie could not be written"))
    }
}

/// Checks the header `X-CSRF-Token` of a request that a session's cookie authenticates and that changes something. Other
/// sites can make a browser send a cookie, and not this header.
///
/// # Errors
/// The header is absent or wrong.
pub(crate) fn check_csrf_token(request: &HttpRequest, secret: &str) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let given = headers::single(request.headers(), &X_CSRF_TOKEN)?.map(|value| value.as_bytes()).unwrap_or_default();
    // Hashes are compared, so that the time of the comparison reveals nothing about the right value.
    if Sha256::digest(given) == Sha256::digest(csrf_token(secret)) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, "a write of a session needs its `csrf_token` in the header `X-CSRF-Token`"))
}
