//! Verifies tokens, and signs them with the local development key.

use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::account::Accounts;
use super::claims::{Claims, DEFAULT_TENANT};
use super::identity::Caller;
use super::role::Role;
use super::token_error::TokenError;
use crate::json_object::JsonObject;

/// The type of access tokens (RFC 9068, section 2.1).
const TOKEN_TYPE: &str = "at+jwt";
/// Microseconds in a second.
const MICROS: i64 = 1_000_000;
/// Maximum length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Verifies tokens, and remembers verified tokens by hash until they expire.
pub(crate) struct Verifier {
    key: Option<DecodingKey>,
    settings: config::Auth,
    clock: Arc<dyn Clock>,
    verified: Cache<[u8; 32], Arc<Caller>>,
    accounts: Accounts,
}

impl Verifier {
    /// Returns a verifier with the local development key, which is `None` in production. `clock` is the wall clock.
    pub(crate) fn new(key: Option<&[u8; 32]>, settings: config::Auth, clock: Arc<dyn Clock>) -> Self {
        let verified = Cache::new(settings.token_cache_entries);
        Self {
            key: key.map(|key| DecodingKey::from_secret(key)),
            settings,
            clock,
            verified,
            accounts: Accounts::default(),
        }
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Returns how long the caller's token is still accepted: until the end of the second in which it expires.
    pub(crate) fn left(&self, caller: &Caller) -> Duration {
        let end = caller.token.ends_at.saturating_add(1).saturating_mul(1_000_000);
        Duration::from_micros(u64::try_from(end.saturating_sub(self.now_micros())).unwrap_or(0))
    }

    /// Returns the time in seconds since the Unix epoch.
    fn now(&self) -> i64 {
        self.now_micros().div_euclid(1_000_000)
    }

    /// Verifies a token and returns its caller.
    ///
    /// # Errors
    /// The token is not accepted, or has expired.
    pub(crate) fn caller(&self, token: &[u8]) -> Result<Arc<Caller>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError("the token is too long"));
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let now = self.now();
        let caller = match self.verified.get(&hash) {
            Some(caller) => caller,
            None => {
                let caller = Arc::new(self.verify(token, self.now_micros())?);
                self.verified.insert(hash, Arc::clone(&caller));
                caller
            }
        };
        if caller.token.ends_at < now {
            self.verified.invalidate(&hash);
            return Err(TokenError("the token has expired"));
        }
        Ok(caller)
    }

    /// Makes the checks of RFC 8725: the algorithm that belongs to the key, the type, the issuer, the audience and the
    /// times. `now` is in microseconds.
    fn verify(&self, token: &[u8], now: i64) -> Result<Caller, TokenError> {
        let key = self.key.as_ref().ok_or(TokenError("no key to verify tokens is configured"))?;
        let mut validation = Validation::new(Algorithm::HS256);
        // Times, issuer and audience are checked below, with the injected clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<JsonObject<Claims>>(token, key, &validation)
            .map_err(|_| TokenError("the token's form, algorithm, signature or claims are not valid"))?;
        let kind = decoded.header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if kind.strip_prefix("application/").unwrap_or(&kind) != TOKEN_TYPE {
            return Err(TokenError("the header `typ` must be `at+jwt`"));
        }
        if decoded.header.crit.is_some() {
            return Err(TokenError("the header `crit` names extensions that are not supported"));
        }
        let JsonObject(claims) = decoded.claims;
        if claims.iss != self.settings.issuer {
            return Err(TokenError("the claim `iss` is not the trusted issuer"));
        }
        if !claims.aud.names(&self.settings.audience) {
            return Err(TokenError("the claim `aud` does not name this server"));
        }
        if claims.tenant.as_deref().is_some_and(|tenant| tenant != DEFAULT_TENANT) {
            return Err(TokenError("the claim `tenant` is not a tenant of this server"));
        }
        let ends_at = self.check_times(&claims, now)?;
        claims.into_caller(&self.accounts, ends_at)
    }

    /// Checks the times of a token. Returns the second after which it is no longer accepted. `now` is in microseconds.
    fn check_times(&self, claims: &Claims, now: i64) -> Result<i64, TokenError> {
        let longest = match Role::parse(&claims.role) {
            Some(Role::Service) => self.settings.max_service_life,
            _ => self.settings.max_life,
        };
        let leeway = self.settings.leeway;
        let latest = now.saturating_add(seconds(leeway) * MICROS);
        if claims.nbf.micros() > latest || claims.iat.micros() > latest {
            return Err(TokenError("the token is not valid yet"));
        }
        let life = claims.exp.micros().saturating_sub(claims.iat.micros());
        // Compared in whole seconds, because the fractions of two times may be rounded differently.
        if life <= 0 || life / MICROS > seconds(longest) {
            return Err(TokenError("the token's lifetime, `exp` minus `iat`, is not within the accepted range"));
        }
        let ends_at = claims.exp.seconds() + seconds(leeway);
        if ends_at < now.div_euclid(MICROS) { Err(TokenError("the token has expired")) } else { Ok(ends_at) }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Signs `claims` with the local development key.
///
/// # Errors
/// The claims cannot be written as JSON.
pub(crate) fn sign(claims: &Claims, key: &[u8; 32]) -> Result<String, jsonwebtoken::errors::Error> {
    let header = Header { typ: Some(TOKEN_TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key))
}

#[cfg(test)]
mod tests;
