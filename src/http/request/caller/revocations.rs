//! Tokens, subjects and keys that are no longer accepted. The registry keeps them, so they hold after a restart.
//!
//! A revocation is in force for as long as the registry has it, expired or not. The registry's own clock does not follow a jump
//! of the wall clock at once, so a jump forward and back brings no token back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::claims::Claims;
use super::credential_version::CredentialVersion;
use super::identity::Caller;
use super::token_error::TokenError;

/// Maximum length of the id of a token or key, or of a subject, in bytes.
const MAX_NAME_BYTES: usize = 8 * 1024;

/// Number of further revocations after which a small table looks for those that the registry has removed.
const MIN_GROWTH: usize = 256;
/// The first byte of the keys of registry entries, by what they revoke.
const TOKEN: u8 = b't';
const SUBJECT: u8 = b's';
const KEY: u8 = b'k';
/// A time at which nothing has expired.
const ALL: i64 = i64::MIN;

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Revocation {
    /// One token or session, by its claim `jti`.
    Token {
        /// The claim `jti`.
        id: String,
    },
    /// All tokens and sessions of a subject that may have been made at this time or before.
    Subject {
        /// The claim `sub`.
        subject: String,
        /// The time in microseconds since the Unix epoch. Issuers' clocks may be ahead by the leeway, so tokens are refused up to
        /// an `iat` that much later. Claims have whole seconds, so a token of the same second is refused too.
        issued_until: i64,
    },
    /// All tokens that a key has signed.
    Key {
        /// The header `kid`.
        id: String,
    },
}

/// A stored revocation that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored revocation cannot be read: {0}")]
pub(crate) struct UnreadableRevocation(#[source] serde_json::Error);

/// The revocations in force.
pub(crate) struct Revocations {
    registry: Arc<dyn Registry>,
    version: Arc<CredentialVersion>,
    /// How long a revocation of a token or subject is kept: the life of the longest token.
    kept: Duration,
    table: RwLock<RevocationTable>,
    /// Locked while a revocation is stored, so that the registry and the table agree.
    writes: Mutex<()>,
}

/// The revocations by what they revoke.
#[derive(Default)]
struct RevocationTable {
    tokens: HashSet<String>,
    /// The times until which tokens of the subject were made, in microseconds since the Unix epoch.
    subjects: HashMap<String, i64>,
    keys: HashSet<String>,
    /// The number of revocations at which the next one looks for those that the registry has removed.
    full_at: usize,
}

impl Revocations {
    /// Reads the revocations of the registry. `kept` is how long a token may be accepted after its revocation.
    ///
    /// # Errors
    /// One of them cannot be read, so it cannot be enforced.
    pub(crate) fn load(
        registry: Arc<dyn Registry>,
        version: Arc<CredentialVersion>,
        kept: Duration,
    ) -> Result<Self, UnreadableRevocation> {
        let mut table = RevocationTable::default();
        for (_, entry) in registry.list(RegistryKind::REVOCATION, ALL) {
            table.insert(serde_json::from_slice(&entry.value).map_err(UnreadableRevocation)?);
        }
        Ok(Self { registry, version, kept, table: RwLock::new(table), writes: Mutex::default() })
    }

    /// Revokes a credential. It is durable and in force when this returns. Blocks for a sync of the disk. `now` is in
    /// microseconds since the Unix epoch.
    ///
    /// # Errors
    /// The registry did not store it. Nothing is revoked.
    pub(crate) fn revoke(&self, revocation: Revocation, now: i64) -> Result<(), RegistryError> {
        if revocation.name().len() > MAX_NAME_BYTES {
            return Err(RegistryError::Size);
        }
        let _writes = self.writes.lock();
        let revocation = self.with_the_later_time(revocation);
        let kept = i64::try_from(self.kept.as_micros()).unwrap_or(i64::MAX);
        let expires_at = match &revocation {
            Revocation::Token { .. } => Some(now.saturating_add(kept)),
            Revocation::Subject { issued_until, .. } => Some(now.max(*issued_until).saturating_add(kept)),
            Revocation::Key { .. } => None,
        };
        self.put(revocation, expires_at)
    }

    /// Revokes a session by its id, until the time `expires_at` at which nothing accepts it any more, in microseconds since
    /// the Unix epoch. Sessions are short and end often, and the space for revocations is bounded. Blocks for a sync of the
    /// disk.
    ///
    /// # Errors
    /// The registry did not store it. Nothing is revoked.
    pub(super) fn revoke_session(&self, id: &str, expires_at: i64) -> Result<(), RegistryError> {
        let _writes = self.writes.lock();
        self.put(Revocation::Token { id: id.to_owned() }, Some(expires_at))
    }

    /// Stores a revocation and takes it into force. The caller has locked `writes`.
    fn put(&self, revocation: Revocation, expires_at: Option<i64>) -> Result<(), RegistryError> {
        let value = serde_json::to_vec(&revocation).unwrap_or_default();
        self.registry.put(RegistryKind::REVOCATION, &revocation.key(), RegistryEntry { value, expires_at })?;
        let mut table = self.table.write();
        table.insert(revocation);
        table.forget_removed(&*self.registry);
        drop(table);
        self.version.advance();
        Ok(())
    }

    /// Returns a revocation of a subject with the later time of it and of the one in force: an earlier time would accept
    /// again what a later one has revoked.
    fn with_the_later_time(&self, mut revocation: Revocation) -> Revocation {
        if let Revocation::Subject { subject, issued_until } = &mut revocation
            && let Some(held) = self.table.read().subjects.get(subject)
        {
            *issued_until = (*held).max(*issued_until);
        }
        revocation
    }

    /// Returns the number of revoked tokens and subjects in memory.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.read().len()
    }

    /// Checks whether the caller's credential was revoked.
    ///
    /// # Errors
    /// It was.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), TokenError> {
        let table = self.table.read();
        let made_from = caller.token.lifetime.made_from;
        let is_revoked = table.has(&caller.token.id, caller.subject(), made_from)
            || caller.token.key.as_ref().is_some_and(|key| table.keys.contains(&*key.id));
        if is_revoked { Err(TokenError("the token was revoked")) } else { Ok(()) }
    }

    /// Returns whether a session with these claims was revoked, by its id or with its subject.
    pub(super) fn has_session(&self, claims: &Claims) -> bool {
        self.table.read().has(&claims.jti, &claims.sub, claims.iat.micros())
    }
}

impl Revocation {
    fn name(&self) -> &str {
        match self {
            Self::Token { id } | Self::Key { id } => id,
            Self::Subject { subject, .. } => subject,
        }
    }

    /// Returns the key of the registry entry.
    fn key(&self) -> Vec<u8> {
        let tag = match self {
            Self::Token { .. } => TOKEN,
            Self::Subject { .. } => SUBJECT,
            Self::Key { .. } => KEY,
        };
        registry_key(tag, self.name())
    }
}

/// Returns the key of a registry entry. Names may be longer than keys, so it holds a hash.
fn registry_key(tag: u8, name: &str) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(&Sha256::digest(name));
    key
}

impl RevocationTable {
    fn insert(&mut self, revocation: Revocation) {
        match revocation {
            Revocation::Token { id } => drop(self.tokens.insert(id)),
            Revocation::Subject { subject, issued_until } => drop(self.subjects.insert(subject, issued_until)),
            Revocation::Key { id } => drop(self.keys.insert(id)),
        }
    }

    /// Returns whether the token or session with this id is revoked, or its subject for what was made
    /// from the time `made_from` on.
    fn has(&self, id: &str, subject: &str, made_from: i64) -> bool {
        self.tokens.contains(id) || self.subjects.get(subject).is_some_and(|issued_until| made_from <= *issued_until)
    }

    fn len(&self) -> usize {
        self.tokens.len() + self.subjects.len()
    }

    /// Forgets the revocations that the registry has removed, when the table has about doubled. Until then it would cost more
    /// than it frees. Revocations of keys are never removed.
    fn forget_removed(&mut self, registry: &dyn Registry) {
        if self.len() < self.full_at.max(MIN_GROWTH) {
            return;
        }
        let is_kept = |tag, name: &str| registry.get(RegistryKind::REVOCATION, &registry_key(tag, name), ALL).is_some();
        self.tokens.retain(|id| is_kept(TOKEN, id));
        self.subjects.retain(|subject, _| is_kept(SUBJECT, subject));
        self.full_at = 2 * self.len();
    }
}
