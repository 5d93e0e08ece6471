//! The public keys of a JSON Web Key Set (RFC 7517) that may verify tokens. Each key belongs to one algorithm.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::weak_rsa::weakness;

/// Maximum number of keys of a set.
const MAX_KEYS: usize = 64;
/// Members that only private and secret keys have.
const PRIVATE_MEMBERS: [&str; 3] = ["d", "k", "p"];

/// A set of public keys.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<VerificationKey>);

/// A public key, and the one algorithm whose signatures it verifies.
#[derive(Debug)]
pub(super) struct VerificationKey {
    pub(super) name: KeyName,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// What identifies a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyName {
    /// The member `kid`, or the thumbprint if the key has none.
    pub(crate) id: Arc<str>,
    /// The key's thumbprint (RFC 7638), which tells keys with the same id apart.
    thumbprint: Arc<str>,
}

/// Why a key set is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    /// It is not JSON, or has no list `keys`.
    #[error("the key set is not a JSON object with a list `keys`")]
    Malformed(#[source] serde_json::Error),
    /// It has too many keys.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// Two keys have the same id.
    #[error("two keys of the set have the id `{0}`")]
    Ambiguous(Arc<str>),
    /// No key can be used.
    #[error("the key set has no public key for EdDSA, ES256 or RS256")]
    Empty,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds or for other uses are left out, as RFC 7517, section 5, has it, so no key may be
    /// left.
    ///
    /// # Errors
    /// The set is malformed or ambiguous.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let raw: RawSet = serde_json::from_slice(text).map_err(KeySetError::Malformed)?;
        if raw.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<_> = raw.keys.into_iter().filter_map(VerificationKey::from_json).collect();
        for (place, key) in keys.iter().enumerate() {
            if keys[..place].iter().any(|other| other.name.id == key.name.id) {
                return Err(KeySetError::Ambiguous(Arc::clone(&key.name.id)));
            }
        }
        Ok(Self(keys))
    }

    /// Whether there is no key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the key of a token with this `kid`. A token without one belongs to the only key of its set.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&VerificationKey> {
        match id {
            Some(id) => self.0.iter().find(|key| &*key.name.id == id),
            None if self.0.len() == 1 => self.0.first(),
            None => None,
        }
    }

    /// Whether all keys of `other` are among these.
    pub(super) fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|key| self.contains(&key.name))
    }

    /// Returns the ids and thumbprints of the keys.
    pub(super) fn names(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.0.iter().map(|key| (Arc::clone(&key.name.id), Arc::clone(&key.name.thumbprint))).collect()
    }

    /// Whether the key is among these.
    pub(super) fn contains(&self, name: &KeyName) -> bool {
        self.0.iter().any(|key| key.name == *name)
    }
}

impl VerificationKey {
    /// Returns the key; `None` if it is not a public key that verifies signatures of an accepted algorithm.
    fn from_json(value: Value) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|member| value.get(member).is_some()) {
            tracing::error!("the key set contains a private or secret key, which is not used: replace it");
            return None;
        }
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let algorithm = algorithm(&jwk)?;
        if let AlgorithmParameters::RSA(key) = &jwk.algorithm
            && let Some(why) = weakness(&decoded(&key.n)?, &decoded(&key.e)?)
        {
            tracing::error!(
                kid = jwk.common.key_id,
                why,
                "the key set contains a weak key, which is not used: replace it"
            );
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        let id = jwk.common.key_id.unwrap_or_else(|| thumbprint.clone());
        Some(Self { name: KeyName { id: id.into(), thumbprint: thumbprint.into() }, algorithm, key })
    }
}

/// Returns a number of a key, big-endian.
fn decoded(number: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(number).ok()
}

/// Returns the algorithm of a key: the one of its kind, which the member `alg` may repeat but not change.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let common = &jwk.common;
    let verifies = common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    if !verifies || common.public_key_use.as_ref().is_some_and(|given| *given != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    common.key_algorithm.as_ref().is_none_or(|given| *given == name).then_some(algorithm)
}
