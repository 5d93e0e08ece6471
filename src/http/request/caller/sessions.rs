//! Sessions of pages. A page exchanges a one-time code for a cookie that its scripts cannot read, and is then a caller like
//! any other.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::port::clock::Entropy;
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::claims::Claims;
use super::lifetime;
use super::login_code::LoginCodes;
use super::revocations::Revocations;
use super::session_index::{IndexedSession, SessionIndex};

/// Number of random bytes of a session's secret.
const SECRET_BYTES: usize = 32;
/// Maximum number of sessions of one subject. The oldest ends when there is one more.
const MAX_PER_SUBJECT: usize = 16;

/// The first byte of the keys of registry entries: of sessions, and of codes that were used.
const SESSION: u8 = b's';
const CODE: u8 = b'c';

/// The sessions of pages. The registry holds the hashes of their secrets and not the secrets.
pub(crate) struct Sessions {
    registry: Arc<dyn Registry>,
    entropy: Arc<dyn Entropy>,
    codes: LoginCodes,
    revocations: Arc<Revocations>,
    /// How far the clock may be set back while the revocation of a session still holds, in microseconds.
    leeway: i64,
    index: Mutex<SessionIndex>,
    /// Locked while a session begins, so that two that begin together count each other.
    begins: Mutex<()>,
}

/// A session that has begun.
pub(crate) struct NewSession {
    /// The value of the cookie.
    pub(crate) secret: String,
    pub(crate) stored: StoredSession,
}

/// A session as the registry holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    /// The claims of the caller. `jti` is the session's id, `iat` its begin and `exp` its end.
    pub(crate) claims: Claims,
}

/// Why a session does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The code is not valid, has expired or was used.
    #[error("the code is not valid, has expired or was used")]
    Code,
    /// The registry cannot store the session.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Sessions {
    /// Returns the sessions that `registry` holds. `codes` are those that begin sessions. The revocation of a session is kept
    /// until its end and `leeway` more.
    pub(crate) fn new(
        registry: Arc<dyn Registry>,
        entropy: Arc<dyn Entropy>,
        codes: LoginCodes,
        revocations: Arc<Revocations>,
        leeway: Duration,
    ) -> Self {
        let mut index = SessionIndex::default();
        for (key, entry) in registry.list(RegistryKind::SESSION, i64::MIN) {
            if key.first() == Some(&SESSION)
                && let Ok(stored) = serde_json::from_slice(&entry.value)
            {
                index.insert(IndexedSession { key, stored }, &*registry);
            }
        }
        let (leeway, index) = (lifetime::micros(leeway), Mutex::new(index));
        Self { registry, entropy, codes, revocations, leeway, index, begins: Mutex::default() }
    }

    /// Begins a session with a one-time code, which is used up. Blocks for a sync of the disk. `now` is in microseconds
    /// since the Unix epoch.
    ///
    /// # Errors
    /// The code is not accepted, or the session cannot be stored.
    pub(crate) fn begin(&self, code: &str, now: i64) -> Result<NewSession, SessionError> {
        let opened = self.codes.open(code, now).ok_or(SessionError::Code)?;
        let _begins = self.begins.lock();
        let used = RegistryEntry { value: Vec::new(), expires_at: Some(opened.expires_at) };
        if !self.registry.put_new(RegistryKind::SESSION, &key(CODE, code), used, now)? {
            return Err(SessionError::Code);
        }
        self.end_oldest(&opened.claims.sub, now)?;
        let secret = self.random::<SECRET_BYTES>();
        let mut claims = opened.claims;
        claims.jti = format!("session-{}", self.random::<16>());
        let expires_at = Some(claims.exp.micros());
        let stored = StoredSession { claims };
        let value = serde_json::to_vec(&stored).unwrap_or_default();
        let key = key(SESSION, &secret);
        self.registry.put(RegistryKind::SESSION, &key, RegistryEntry { value, expires_at })?;
        self.index.lock().insert(IndexedSession { key, stored: stored.clone() }, &*self.registry);
        Ok(NewSession { secret, stored })
    }

    /// Returns the session with this secret, revoked or not; `None` if there is none at the time `now`. Who accepts it checks
    /// whether it was revoked.
    pub(super) fn find(&self, secret: &str, now: i64) -> Option<StoredSession> {
        let entry = self.registry.get(RegistryKind::SESSION, &key(SESSION, secret), now)?;
        serde_json::from_slice(&entry.value).ok()
    }

    /// Returns the sessions of a subject that are still accepted, the oldest first.
    pub(crate) fn of_subject(&self, subject: &str, now: i64) -> Vec<StoredSession> {
        let mut sessions: Vec<_> = self.open_of(subject, now).into_iter().map(|session| session.stored).collect();
        sessions.sort_by_key(|stored| stored.claims.iat);
        sessions
    }

    /// Ends a session of a subject, and its streams. Returns whether the subject had a session with this id. Blocks for
    /// syncs of the disk.
    ///
    /// # Errors
    /// The registry did not remove it.
    pub(crate) fn end(&self, subject: &str, id: &str, now: i64) -> Result<bool, RegistryError> {
        let found = self.open_of(subject, now).into_iter().find(|session| session.stored.claims.jti == id);
        found.map_or(Ok(false), |session| self.remove(&session).map(|()| true))
    }

    /// Ends the sessions of a subject whose begin is after the time `now`: they began while the clock was ahead, so a
    /// revocation of what was issued until now does not name them. Blocks for syncs of the disk.
    ///
    /// # Errors
    /// The registry did not remove one of them.
    pub(crate) fn end_later_ones(&self, subject: &str, now: i64) -> Result<(), RegistryError> {
        let sessions = self.index.lock().of_subject(subject).to_vec();
        let mut later = sessions.iter().filter(|session| session.stored.claims.iat.micros() > now);
        later.try_for_each(|session| self.remove(session))
    }

    /// Ends all sessions of a subject, and removes what is stored of them. Blocks for syncs of the disk.
    ///
    /// # Errors
    /// The registry did not remove one of them.
    pub(crate) fn end_all(&self, subject: &str) -> Result<(), RegistryError> {
        let _begins = self.begins.lock();
        let sessions = self.index.lock().of_subject(subject).to_vec();
        sessions.iter().try_for_each(|session| self.remove(session))
    }

    /// Ends the oldest session of a subject that has the maximum number.
    fn end_oldest(&self, subject: &str, now: i64) -> Result<(), RegistryError> {
        let sessions = self.open_of(subject, now);
        if sessions.len() < MAX_PER_SUBJECT {
            return Ok(());
        }
        let oldest = sessions.iter().min_by_key(|session| session.stored.claims.iat);
        oldest.map_or(Ok(()), |session| self.remove(session))
    }

    /// Revokes a session before it is removed, so that a failure between the two leaves nothing that is accepted.
    fn remove(&self, session: &IndexedSession) -> Result<(), RegistryError> {
        let claims = &session.stored.claims;
        self.revocations.revoke_session(&claims.jti, claims.exp.micros().saturating_add(self.leeway))?;
        self.registry.remove(RegistryKind::SESSION, &session.key)?;
        self.index.lock().remove(session);
        Ok(())
    }

    /// Returns the sessions of a subject that have neither ended at the time `now` nor been revoked.
    fn open_of(&self, subject: &str, now: i64) -> Vec<IndexedSession> {
        let mut sessions = self.index.lock().of_subject(subject).to_vec();
        sessions.retain(|IndexedSession { stored: StoredSession { claims }, .. }| {
            claims.exp.micros() > now && !self.revocations.has_session(claims)
        });
        sessions
    }

    fn random<const N: usize>(&self) -> String {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl StoredSession {
    /// Returns how long the session lasts from its begin.
    pub(crate) fn life(&self) -> Duration {
        let life = self.claims.exp.micros().saturating_sub(self.claims.iat.micros());
        Duration::from_micros(u64::try_from(life).unwrap_or(0))
    }
}

/// Returns the token that writes of the session must carry in `X-CSRF-Token`. It is made from the secret, which scripts of
/// other pages cannot use to make requests of their own.
pub(crate) fn csrf_token(secret: &str) -> String {
    let mut block = [0; 64];
    block[..32].copy_from_slice(&Sha256::digest(secret));
    let mac = Hmac::<Sha256>::new(&block.into()).chain_update(b"profile-server: csrf token").finalize();
    URL_SAFE_NO_PAD.encode(mac.into_bytes())
}

/// Returns the key of an entry of the registry. The time of a look-up reveals nothing about a secret, since it depends on
/// its hash.
fn key(tag: u8, secret: &str) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(&Sha256::digest(secret));
    key
}

#[cfg(test)]
mod tests;
