//! The port of the registry: a small durable map for what belongs to no profile, such as revocations and sessions.

use std::sync::Arc;

/// The kind of a registry entry. Each kind has its own keys and its own bound of bytes. The number is stored: never reuse
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryKind(u8);

impl RegistryKind {
    /// Tokens, subjects and keys that are no longer accepted.
    pub const REVOCATION: Self = Self::new(1);
    /// Callers and addresses that the rate limits do not apply to.
    pub const ALLOWLIST: Self = Self::new(2);
    /// Sessions of pages, and the one-time codes that begin them.
    pub const SESSION: Self = Self::new(3);
    /// The digests of the operator's files that were in force last.
    pub const CONFIGURATION: Self = Self::new(4);
    /// The epsilon that export jobs have reserved or spent, by the id of the job.
    pub const BUDGET: Self = Self::new(5);
    /// Export jobs by their id.
    pub const EXPORT_JOB: Self = Self::new(6);
    /// Erasures that are scheduled or not finished, by a keyed hash of the user.
    pub const ERASURE_JOB: Self = Self::new(7);
    /// Receipts of erasures, by a keyed hash of the user and the generation.
    pub const ERASURE_RECEIPT: Self = Self::new(8);
    /// Until when the keyring may be in a backup.
    pub const KEYRING_BACKUP: Self = Self::new(10);
    /// The epochs of the stores that this one was restored from, each with the position up to which it has their records.
    pub const PAST_EPOCH: Self = Self::new(11);
    /// What the first start after a restore is to take from the audit log: under [`BACKUP_TIME`] the time since which the registry
    /// has missed it, in microseconds since the Unix epoch, as 8 bytes, little-endian.
    pub const RESTORED: Self = Self::new(12);

    /// Returns the kind with a number from 1 to 255.
    ///
    /// # Panics
    /// On 0.
    pub const fn new(number: u8) -> Self {
        assert!(number > 0, "kinds of registry entries have numbers from 1 on");
        Self(number)
    }

    /// Returns the number under which the kind is stored.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The key of [`RegistryKind::RESTORED`].
pub const BACKUP_TIME: &[u8] = b"backup time";
/// Maximum number of bytes of a key.
pub const MAX_REGISTRY_KEY_BYTES: usize = 256;
/// Maximum number of bytes of a value.
pub const MAX_REGISTRY_VALUE_BYTES: usize = 16 << 10;

/// What is stored under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The content, in a form of the kind's.
    pub value: Vec<u8>,
    /// When the entry expires, in microseconds since the Unix epoch; `None` if it stays until it is removed.
    pub expires_at: Option<i64>,
}

impl RegistryEntry {
    /// Returns whether the entry no longer counts at the time `now`, in microseconds since the Unix epoch.
    pub fn has_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl std::fmt::Debug for RegistryEntry {
    // A value can name a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegistryEntry({} bytes, expires at {:?})", self.value.len(), self.expires_at)
    }
}

/// A key with its entry, as [`Registry::list`] returns it.
pub type ListedEntry = (Vec<u8>, Arc<RegistryEntry>);

/// A durable map from a kind and a key to an entry. All entries are in memory, so reads never wait for the disk.
///
/// Times are those of the wall clock. An entry is invisible from its expiry on, and is removed some time later: when the
/// wall clock jumps forward and back again, nothing is lost.
pub trait Registry: Send + Sync {
    /// Returns the entry under a key; `None` if there is none that counts at the time `now`.
    fn get(&self, kind: RegistryKind, key: &[u8], now: i64) -> Option<Arc<RegistryEntry>>;

    /// Returns all entries of a kind that count at the time `now`, in the order of their keys.
    fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry>;

    /// Stores an entry, in place of the one under the same key. Durable and visible when it returns. Blocks for a sync of
    /// the disk, as the other methods that write do.
    ///
    /// # Errors
    /// Nothing has changed for readers. After [`RegistryError::Unavailable`] the entry may still be there after a restart.
    fn put(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry) -> Result<(), RegistryError>;

    /// Stores an entry unless there is one under the key that counts at the time `now`. Returns whether it was stored: of
    /// several callers with the same key, one gets `true`.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn put_new(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry, now: i64) -> Result<bool, RegistryError>;

    /// Removes the entry under a key and returns it, expired or not. Of several callers, one gets the entry.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn remove(&self, kind: RegistryKind, key: &[u8]) -> Result<Option<Arc<RegistryEntry>>, RegistryError>;
}

/// Why the registry did not store a change.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The key is empty, or the key or the value is longer than allowed.
    #[error(
        "a registry key has from 1 to {MAX_REGISTRY_KEY_BYTES} bytes, and a value at most {MAX_REGISTRY_VALUE_BYTES}"
    )]
    Size,
    /// The entries of the kind have reached their bound of bytes.
    #[error("the registry has no room for another entry of this kind: remove entries, or let them expire")]
    Full,
    /// The change could not be made durable.
    #[error("the registry could not be written")]
    Unavailable {
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
