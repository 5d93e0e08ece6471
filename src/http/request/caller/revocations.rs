//! Tokens, subjects and keys that are no longer accepted. The registry keeps them, so they hold after a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::credential_version::CredentialVersion;
use super::identity::Caller;
use super::token_error::TokenError;

/// Maximum length of the id of a token or key, or of a subject, in bytes.
const MAX_NAME_BYTES: usize = 8 * 1024;

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Revocation {
    /// One token or session, by its claim `jti`.
    Token {
        /// The claim `jti`.
        id: String,
    },
    /// All tokens and sessions of a subject that were issued at this time or before.
    Subject {
        /// The claim `sub`.
        subject: String,
        /// The time in microseconds since the Unix epoch. Claims have whole seconds, so a token that is issued in the same
        /// second is refused too.
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

/// The revocations by what they revoke. Values are the last times at which they count, in microseconds.
#[derive(Default)]
struct RevocationTable {
    tokens: HashMap<String, i64>,
    subjects: HashMap<String, SubjectRevocation>,
    keys: HashMap<String, i64>,
}

#[derive(Clone, Copy)]
struct SubjectRevocation {
    issued_until: i64,
    kept_until: i64,
}

impl Revocations {
    /// Reads the revocations of the registry. `kept` is the life of the longest token, and `now` is in microseconds since
    /// the Unix epoch.
    ///
    /// # Errors
    /// One of them cannot be read, so it cannot be enforced.
    pub(crate) fn load(
        registry: Arc<dyn Registry>,
        version: Arc<CredentialVersion>,
        kept: Duration,
        now: i64,
    ) -> Result<Self, UnreadableRevocation> {
        let mut table = RevocationTable::default();
        for (_, entry) in registry.list(RegistryKind::REVOCATION, now) {
            let revocation = serde_json::from_slice(&entry.value).map_err(UnreadableRevocation)?;
            table.insert(revocation, entry.expires_at.unwrap_or(i64::MAX));
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
        let value = serde_json::to_vec(&revocation).unwrap_or_default();
        self.registry.put(RegistryKind::REVOCATION, &revocation.key(), RegistryEntry { value, expires_at })?;
        let mut table = self.table.write();
        table.forget_expired(now);
        table.insert(revocation, expires_at.unwrap_or(i64::MAX));
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
            *issued_until = held.issued_until.max(*issued_until);
        }
        revocation
    }

    /// Checks whether the caller's credential was revoked.
    ///
    /// # Errors
    /// It was.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), TokenError> {
        let table = self.table.read();
        let is_revoked = table.tokens.contains_key(&caller.token.id)
            || caller.token.key.as_ref().is_some_and(|key| table.keys.contains_key(&*key.id))
            || table
                .subjects
                .get(caller.subject())
                .is_some_and(|revocation| caller.token.issued_at <= revocation.issued_until);
        if is_revoked { Err(TokenError("the token was revoked")) } else { Ok(()) }
    }
}

impl Revocation {
    fn name(&self) -> &str {
        match self {
            Self::Token { id } | Self::Key { id } => id,
            Self::Subject { subject, .. } => subject,
        }
    }

    /// Returns the key of the registry entry. Names may be longer than keys, so it holds a hash.
    fn key(&self) -> Vec<u8> {
        let tag = match self {
            Self::Token { .. } => b't',
            Self::Subject { .. } => b's',
            Self::Key { .. } => b'k',
        };
        let mut key = vec![tag];
        key.extend_from_slice(&Sha256::digest(self.name()));
        key
    }
}

impl RevocationTable {
    fn insert(&mut self, revocation: Revocation, kept_until: i64) {
        match revocation {
            Revocation::Token { id } => {
                self.tokens.insert(id, kept_until);
            }
            Revocation::Subject { subject, issued_until } => {
                self.subjects.insert(subject, SubjectRevocation { issued_until, kept_until });
            }
            Revocation::Key { id } => {
                self.keys.insert(id, kept_until);
            }
        }
    }

    fn forget_expired(&mut self, now: i64) {
        self.tokens.retain(|_, kept_until| *kept_until > now);
        self.subjects.retain(|_, revocation| revocation.kept_until > now);
    }
}
