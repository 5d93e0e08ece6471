//! Verifies tokens, and remembers verified tokens by hash until they expire or something is revoked.

use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use domain::port::registry::RegistryError;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;

use super::account::{Account, Accounts};
use super::claims::{Claims, DEFAULT_TENANT};
use super::credential_version::CredentialVersion;
use super::identity::Caller;
use super::key_set::KeyName;
use super::key_store::KeyStore;
use super::lifetime::{self, Lifetime, MICROS};
use super::oldest_token::OldestToken;
use super::revocations::{Revocation, Revocations};
use super::role::Role;
use super::sessions::Sessions;
use super::token_error::TokenError;
use super::token_hash::{Hashed, TakeBits, TokenHash, TokenHashKey};
use crate::json_object::JsonObject;

/// The type of access tokens (RFC 9068, section 2.1).
pub(super) const TOKEN_TYPE: &str = "at+jwt";
/// Maximum length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How long ago a caller may have authenticated for an operation that needs a fresh second factor, in microseconds.
const FRESH: i64 = 5 * 60 * MICROS;

/// Verifies tokens.
pub(crate) struct Verifier {
    /// The local development key for HS256, which production does not have.
    development_key: Option<DecodingKey>,
    keys: Arc<KeyStore>,
    revocations: Arc<Revocations>,
    version: Arc<CredentialVersion>,
    settings: config::Auth,
    clock: Arc<dyn Clock>,
    verified: Cache<TokenHash, Arc<Caller>, TakeBits>,
    hash_key: TokenHashKey,
    accounts: Accounts,
    oldest_service_token: OldestToken,
}

/// The key that a token names.
struct TokenKey {
    key: DecodingKey,
    algorithm: Algorithm,
    name: Option<KeyName>,
}

/// Why a token was not verified.
enum Refusal {
    /// It is not valid.
    Invalid(TokenError),
    /// Its key is unknown, and may be known after the key set is read again.
    UnknownKey,
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Invalid(error)
    }
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(error) => error,
            Refusal::UnknownKey => Self("the key that the token names is unknown"),
        }
    }
}

/// What a verifier is made of.
pub(crate) struct VerifierParts {
    /// The local development key for HS256, which is `None` in production.
    pub(crate) development_key: Option<[u8; 32]>,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) version: Arc<CredentialVersion>,
    pub(crate) settings: config::Auth,
    /// The wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The key of the hashes of tokens in memory, which is random.
    pub(crate) hash_key: [u8; 16],
}

impl Verifier {
    /// Returns a verifier.
    pub(crate) fn new(parts: VerifierParts) -> Self {
        let VerifierParts { development_key, keys, revocations, version, settings, clock, hash_key } = parts;
        let (accounts, hash_key) = (Accounts::new(hash_key), TokenHashKey::new(hash_key));
        let development_key = development_key.map(|key| DecodingKey::from_secret(&key));
        let entries = settings.token_cache_entries;
        let verified = Cache::builder().max_capacity(entries).build_with_hasher(TakeBits::default());
        let oldest_service_token = OldestToken::default();
        Self {
            development_key,
            keys,
            revocations,
            version,
            settings,
            clock,
            verified,
            hash_key,
            accounts,
            oldest_service_token,
        }
    }

    /// Returns what the server holds for a subject.
    pub(crate) fn account(&self, subject: &str) -> Arc<Account> {
        self.accounts.get(subject)
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Returns when the oldest token of a service was made that was accepted since the start and has not expired, in microseconds
    /// since the Unix epoch.
    pub(crate) fn oldest_service_token(&self) -> Option<i64> {
        let leeway = lifetime::micros(self.settings.leeway);
        self.oldest_service_token.made_from(self.now_micros()).map(|made| made.saturating_add(leeway))
    }

    /// Returns how long the caller's token is still accepted: until the end of the second in which it expires.
    pub(crate) fn left(&self, caller: &Caller) -> Duration {
        caller.token.lifetime.left(self.now_micros())
    }

    /// Returns a receiver that is notified when a caller may be accepted no longer.
    pub(crate) fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Checks whether a caller that was accepted before is accepted still. This costs two loads while nothing was revoked.
    ///
    /// # Errors
    /// Its token or session was revoked, has expired, or is not valid yet since the clock was set back.
    pub(crate) fn check_again(&self, caller: &Caller) -> Result<(), TokenError> {
        caller.token.lifetime.check(self.now_micros())?;
        self.check_revoked(caller)
    }

    /// Checks whether a caller was revoked since it was last checked.
    ///
    /// # Errors
    /// It was.
    pub(crate) fn check_revoked(&self, caller: &Caller) -> Result<(), TokenError> {
        // Read first: what is revoked during the check counts for the next one.
        let version = self.version.current();
        if caller.was_checked_at(version) {
            return Ok(());
        }
        self.revocations.check(caller)?;
        if caller.token.key.as_ref().is_some_and(|name| !self.keys.keys().contains(name)) {
            return Err(TokenError("the key of the token was removed from the key set"));
        }
        caller.set_checked_at(version);
        Ok(())
    }

    /// Revokes a credential. When this returns, it is durable and accepted nowhere. Blocks for a sync of the disk.
    ///
    /// # Errors
    /// The registry did not store the revocation, and nothing is revoked.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Result<(), RegistryError> {
        self.revocations.revoke(revocation, self.now_micros())
    }

    /// Checks whether the caller has authenticated with a second factor in the last five minutes.
    pub(crate) fn has_fresh_second_factor(&self, caller: &Caller) -> bool {
        let leeway = lifetime::micros(self.settings.leeway);
        let now = self.now_micros();
        let is_fresh = |at: i64| at > now.saturating_sub(FRESH) && at <= now.saturating_add(leeway);
        caller.token.second_factor && caller.token.authenticated_at.is_some_and(is_fresh)
    }

    /// Verifies a token and returns its caller. If the token names an unknown key, the key set is read again.
    ///
    /// # Errors
    /// The token is not accepted, has expired, or was revoked.
    pub(crate) async fn caller_with_new_keys(&self, token: &[u8]) -> Result<Arc<Caller>, TokenError> {
        match self.cached_or_verified(token) {
            Err(Refusal::UnknownKey) => {
                self.keys.refresh_for_unknown_key().await;
                self.caller(token)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Verifies a token with the keys in use and returns its caller.
    ///
    /// # Errors
    /// As [`Self::caller_with_new_keys`].
    pub(crate) fn caller(&self, token: &[u8]) -> Result<Arc<Caller>, TokenError> {
        Ok(self.cached_or_verified(token)?)
    }

    /// Returns the caller of a session with this secret.
    ///
    /// # Errors
    /// There is no such session, or it has ended.
    pub(crate) fn session_caller(&self, sessions: &Sessions, secret: &str) -> Result<Arc<Caller>, TokenError> {
        let hash = self.hash_key.hash(Hashed::SessionSecret, secret.as_bytes());
        let caller = match self.verified.get(&hash) {
            Some(caller) => caller,
            None => {
                let stored = sessions.find(secret, self.now_micros()).ok_or(TokenError("the session has ended"))?;
                let lifetime = Lifetime::of_session(&stored.claims, &self.settings);
                let caller = Arc::new(stored.claims.into_caller(&self.accounts, lifetime, None)?);
                self.verified.insert(hash, Arc::clone(&caller));
                caller
            }
        };
        self.check_again(&caller)?;
        Ok(caller)
    }

    fn cached_or_verified(&self, token: &[u8]) -> Result<Arc<Caller>, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError("the token is too long").into());
        }
        let hash = self.hash_key.hash(Hashed::Token, token);
        let caller = match self.verified.get(&hash) {
            Some(caller) => caller,
            None => {
                let caller = Arc::new(self.verify(token)?);
                self.verified.insert(hash, Arc::clone(&caller));
                caller
            }
        };
        if let Err(refusal) = self.check_again(&caller) {
            self.verified.invalidate(&hash);
            return Err(refusal.into());
        }
        Ok(caller)
    }

    /// Makes the checks of RFC 8725: the algorithm that belongs to the key, the type, the issuer, the audience and the
    /// lifetime.
    fn verify(&self, token: &[u8]) -> Result<Caller, Refusal> {
        let TokenKey { key, algorithm, name } = self.key_of(token)?;
        let mut validation = Validation::new(algorithm);
        // Times, issuer and audience are checked below, with the injected clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded =
            jsonwebtoken::decode::<JsonObject<Claims>>(token, &key, &validation).map_err(|error| undecoded(&error))?;
        let kind = decoded.header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if kind.strip_prefix("application/").unwrap_or(&kind) != TOKEN_TYPE {
            return Err(TokenError("the header `typ` must be `at+jwt`").into());
        }
        if decoded.header.crit.is_some() {
            return Err(TokenError("the header `crit` names extensions that are not supported").into());
        }
        let JsonObject(claims) = decoded.claims;
        if claims.iss != self.settings.issuer {
            return Err(TokenError("the claim `iss` is not the trusted issuer").into());
        }
        if !claims.aud.names(&self.settings.audience) {
            return Err(TokenError("the claim `aud` does not name this server").into());
        }
        if claims.tenant.as_deref().is_some_and(|tenant| tenant != DEFAULT_TENANT) {
            return Err(TokenError("the claim `tenant` is not a tenant of this server").into());
        }
        let lifetime = Lifetime::of_token(&claims, &self.settings)?;
        lifetime.check(self.now_micros())?;
        let caller = claims.into_caller(&self.accounts, lifetime, name)?;
        if caller.role == Role::Service {
            self.oldest_service_token.note(lifetime, self.now_micros());
        }
        Ok(caller)
    }

    /// Returns the key of a token, by its header: the key that `kid` names, and only for the algorithm of that key.
    /// Headers that contain or point to keys (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
    fn key_of(&self, token: &[u8]) -> Result<TokenKey, Refusal> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| TokenError("the token's form or algorithm is not valid"))?;
        if header.alg == Algorithm::HS256 && header.kid.is_none() {
            let key = self.development_key.clone().ok_or(TokenError("the algorithm HS256 is for development only"))?;
            return Ok(TokenKey { key, algorithm: Algorithm::HS256, name: None });
        }
        if !self.keys.has_source() {
            return Err(TokenError("the token's algorithm or key is not accepted: no key set is configured").into());
        }
        let keys = self.keys.keys();
        let found = keys.find(header.kid.as_deref()).ok_or(Refusal::UnknownKey)?;
        if header.alg != found.algorithm {
            return Err(TokenError("the token's algorithm is not that of its key").into());
        }
        Ok(TokenKey { key: found.key.clone(), algorithm: found.algorithm, name: Some(found.name.clone()) })
    }
}

/// Returns why a token was not decoded. The signature is checked before the claims are read.
fn undecoded(error: &jsonwebtoken::errors::Error) -> TokenError {
    TokenError(match error.kind() {
        ErrorKind::InvalidSignature => "the token's signature is not valid",
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => "the token's claims are not valid",
        _ => "the token's form or algorithm is not valid",
    })
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod revoking;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
