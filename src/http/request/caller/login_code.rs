//! One-time codes that begin sessions of pages. `profile-server login-link` makes them, under a key that only the
//! operator's machine has, so it needs no running server.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::claims::Claims;
use crate::json_object::JsonObject;

/// The type of codes, which differs from that of access tokens: neither is accepted as the other.
const CODE_TYPE: &str = "login+jwt";
/// How long a code is valid, in microseconds.
const CODE_LIFE: i64 = 5 * 60 * 1_000_000;
/// Maximum length of a code, in bytes.
const MAX_CODE_BYTES: usize = 4 * 1024;

/// The key of codes.
pub(crate) struct LoginCodes {
    key: [u8; 32],
}

/// A code that is valid.
pub(super) struct OpenedCode {
    /// The claims of the session that it begins. Their lifetime begins with the code.
    pub(super) claims: Claims,
    /// When the code expires, in microseconds since the Unix epoch.
    pub(super) expires_at: i64,
}

impl LoginCodes {
    /// Returns the codes under a key, which must serve no other purpose.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Makes a code for a session with these claims, which begins at `iat` and ends at `exp`.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub(crate) fn make(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        let header = Header { typ: Some(CODE_TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&self.key))
    }

    /// Returns what a code begins; `None` if it is not valid at the time `now`, in microseconds since the Unix epoch.
    pub(super) fn open(&self, code: &str, now: i64) -> Option<OpenedCode> {
        if code.len() > MAX_CODE_BYTES {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(&self.key);
        let decoded = jsonwebtoken::decode::<JsonObject<Claims>>(code, &key, &validation).ok()?;
        let JsonObject(claims) = decoded.claims;
        let expires_at = claims.iat.micros().saturating_add(CODE_LIFE).min(claims.exp.micros());
        let is_valid =
            decoded.header.typ.as_deref() == Some(CODE_TYPE) && now < expires_at && claims.iat.micros() <= now;
        is_valid.then_some(OpenedCode { claims, expires_at })
    }
}
