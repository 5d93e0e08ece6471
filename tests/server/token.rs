//! Access tokens, made without the server's code.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The claims of a token, which a test may change.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: Header,
    pub(crate) claims: Value,
}

impl Token {
    pub(crate) fn new(role: &str, subject: &str, scope: &str) -> Self {
        let now = now();
        let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
        let claims = json!({
            "iss": "profile-server", "aud": "profile-server", "sub": subject, "role": role, "scope": scope,
            "iat": now, "nbf": now, "exp": now + 600, "jti": format!("test-{subject}"),
        });
        Self { header, claims }
    }

    pub(crate) fn citizen(user: &str) -> Self {
        Self::new("self", user, "")
    }

    pub(crate) fn service(scope: &str) -> Self {
        Self::new("service", "svc:test", scope)
    }

    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    pub(crate) fn sign(&self, key: &[u8]) -> String {
        jsonwebtoken::encode(&self.header, &self.claims, &EncodingKey::from_secret(key)).unwrap()
    }
}

/// Returns the time in seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}
