//! Signs tokens, for development and tests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::claims::Claims;
use super::verify::TOKEN_TYPE;

/// Signs `claims` with the local development key.
///
/// # Errors
/// The claims cannot be written as JSON.
pub(crate) fn sign(claims: &Claims, key: &[u8; 32]) -> Result<String, jsonwebtoken::errors::Error> {
    sign_with(claims, &EncodingKey::from_secret(key), Algorithm::HS256, None)
}

/// Signs `claims` with a key for `algorithm`. `key_id` becomes the header `kid`.
///
/// # Errors
/// The key does not belong to the algorithm.
pub(crate) fn sign_with(
    claims: &Claims,
    key: &EncodingKey,
    algorithm: Algorithm,
    key_id: Option<String>,
) -> Result<String, jsonwebtoken::errors::Error> {
    let header = Header { typ: Some(TOKEN_TYPE.to_owned()), kid: key_id, ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key)
}
