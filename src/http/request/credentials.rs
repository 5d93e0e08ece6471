//! Finds the credentials of a request.

use actix_web::http::header::{self, HeaderMap};

use super::headers;
use crate::http::problem::{Code, Problem};

/// Returns the bearer token of a request (RFC 6750). The case of the scheme does not matter.
///
/// # Errors
/// The request has none.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let given = headers::single(headers, &header::AUTHORIZATION)?.ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "send `Authorization: Bearer` with a token from the identity service")
    })?;
    let (scheme, token) = given.as_bytes().split_at_checked(7).unwrap_or_default();
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() {
        return Ok(token);
    }
    Err(Problem::new(Code::Unauthenticated, "the header `Authorization` must hold a bearer token"))
}
