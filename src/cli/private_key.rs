//! Private keys that sign tokens, for tests and for issuers without a service of their own.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use crate::http::request::caller::{Claims, sign_with};

/// A private key with its algorithm and its public part.
pub(super) struct PrivateKey {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Jwk,
    id: String,
}

impl PrivateKey {
    /// Reads a key in PEM. `id` is the header `kid` of its tokens; the key's thumbprint without it.
    pub(super) fn read(path: &Path, id: Option<String>) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
        let kinds = [
            (EncodingKey::from_ed_pem(&text), Algorithm::EdDSA),
            (EncodingKey::from_ec_pem(&text), Algorithm::ES256),
            (EncodingKey::from_rsa_pem(&text), Algorithm::RS256),
        ];
        for (key, algorithm) in kinds {
            let Ok(key) = key else { continue };
            let Ok(mut public) = Jwk::from_encoding_key(&key, algorithm) else { continue };
            let thumbprint = || public.thumbprint(ThumbprintHash::SHA256);
            let id = id.map_or_else(thumbprint, Ok).context("could not compute the id of the key")?;
            public.common.key_id = Some(id.clone());
            public.common.public_key_use = Some(PublicKeyUse::Signature);
            return Ok(Self { key, algorithm, public, id });
        }
        bail!("`{}` is not a private key in PEM (PKCS #8) of the kind Ed25519, P-256 or RSA", path.display())
    }

    /// Returns the key set with the public part, as JSON.
    pub(super) fn key_set(&self) -> String {
        json!({ "keys": [self.public] }).to_string()
    }

    /// Signs claims.
    pub(super) fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        sign_with(claims, &self.key, self.algorithm, Some(self.id.clone())).context("could not sign the token")
    }
}
