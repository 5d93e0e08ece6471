//! The options of a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use domain::port::retention::HistoryRetention;
use zeroize::Zeroizing;

use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

/// How the store runs. The server maps its configuration to it.
#[derive(Clone)]
pub struct StoreOptions {
    /// The data directory. Created if missing, and locked while the store is open.
    pub data_dir: PathBuf,
    /// Bytes of a journal segment.
    pub segment_bytes: u64,
    /// Maximum time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// A checkpoint starts early when the journal has grown by this many bytes since the last one, but at least 10 seconds
    /// after it, or a sixth of the interval if that is shorter.
    pub checkpoint_journal_bytes: u64,
    /// Maximum number of users that a checkpoint writes per second; 0 for no limit. A checkpoint is spread over half the
    /// interval, and is no longer paced when the journal grows too fast.
    pub checkpoint_users_per_second: u32,
    /// Maximum time that the last checkpoint of a stop folds users.
    pub checkpoint_stop: Duration,
    /// Number of users whose newest sequence is kept in memory (60 bytes each). An append for such a user does not
    /// read from sled.
    pub known_users: usize,
    /// Maximum number of bytes of journal segments that are in a checkpoint and are kept for followers; 0 keeps none.
    pub retain_journal_bytes: u64,
    /// Maximum time to keep these segments, by [`Self::clock`].
    pub retain_journal: Duration,
    /// Bytes of sled pages to hold in memory.
    pub sled_cache_bytes: u64,
    /// The zstd dictionaries of history and dead letters, newest last, trained on the synthetic population. The newest one
    /// compresses. A record can only be read with the dictionary that compressed it, so none may ever be removed.
    pub dictionaries: Vec<Vec<u8>>,
    /// Maximum number of bytes of dead letters that wait to be written.
    pub dead_letter_queue_bytes: usize,
    /// Maximum number of bytes that the dead letters of one source take in the store.
    pub dead_letter_source_bytes: u64,
    /// Maximum number of bytes that all dead letters take in the store.
    pub dead_letter_total_bytes: u64,
    /// Days to keep dead letters.
    pub dead_letter_days: u32,
    /// The wall clock, by which dead letters and journal segments expire. Without one, letters expire by the time of the
    /// newest letter, and segments only by their bytes.
    pub clock: Option<Arc<dyn Clock>>,
    /// After a jump of the wall clock forward, nothing expires until the new time has held this long.
    pub confirm_clock: Duration,
    /// How far ahead of the clock the time of an event may be.
    pub future_tolerance: Duration,
    /// Decides what is kept of histories; `None` keeps everything. It goes by [`Self::clock`].
    pub retention: Option<Arc<dyn HistoryRetention>>,
    /// Time in which the histories of all users are looked through for what is no longer kept.
    pub thinning_pass: Duration,
    /// Maximum number of bytes that the entries of each kind take in the registry, in memory and on disk.
    pub registry_kind_bytes: usize,
    /// The disk of journal, keyring and registry.
    pub disk: Arc<dyn Disk>,
}

impl StoreOptions {
    /// Returns the default options of a store in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            segment_bytes: 64 << 20,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_journal_bytes: 1 << 30,
            checkpoint_users_per_second: 50_000,
            checkpoint_stop: Duration::from_secs(4),
            known_users: 1_000_000,
            retain_journal_bytes: 4 << 30,
            retain_journal: Duration::from_secs(24 * 3600),
            sled_cache_bytes: 256 << 20,
            dictionaries: Vec::new(),
            dead_letter_queue_bytes: 64 << 20,
            dead_letter_source_bytes: 64 << 20,
            dead_letter_total_bytes: 256 << 20,
            dead_letter_days: 30,
            clock: None,
            confirm_clock: Duration::from_secs(3600),
            future_tolerance: Duration::from_secs(300),
            retention: None,
            thinning_pass: Duration::from_secs(24 * 3600),
            registry_kind_bytes: 16 << 20,
            disk: Arc::new(RealDisk),
        }
    }
}

/// The key at the root of the key tree, in the versions that are at hand. One of them wraps the keyring's ring key, and
/// nothing else; older ones open older copies of the keyring.
#[derive(Debug, Clone)]
pub struct MasterKey {
    /// At least one, by number.
    versions: Vec<MasterKeyVersion>,
}

/// A version of the master key. It is wiped when dropped.
#[derive(Clone)]
pub(crate) struct MasterKeyVersion {
    number: u32,
    bytes: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Returns a master key with one version. Each rotation counts the number up.
    pub fn new(number: u32, bytes: [u8; 32]) -> Self {
        Self { versions: vec![MasterKeyVersion { number, bytes: Zeroizing::new(bytes) }] }
    }

    /// Returns the master key with another version, in place of one with the same number.
    #[must_use]
    pub fn with_version(mut self, number: u32, bytes: [u8; 32]) -> Self {
        self.versions.retain(|version| version.number != number);
        self.versions.push(MasterKeyVersion { number, bytes: Zeroizing::new(bytes) });
        self.versions.sort_unstable_by_key(|version| version.number);
        self
    }

    /// Returns the numbers of the versions, ascending.
    pub fn numbers(&self) -> Vec<u32> {
        self.versions.iter().map(|version| version.number).collect()
    }

    /// Returns the version with a number.
    pub(crate) fn version(&self, number: u32) -> Option<&MasterKeyVersion> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// Returns the error for a version that was not given.
    pub(crate) fn missing(&self, wanted: u32) -> OpenError {
        let given = self.numbers().iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        OpenError::MasterKeyMissing { wanted, given }
    }

    /// Returns the version with the greatest number.
    pub(crate) fn newest(&self) -> &MasterKeyVersion {
        self.versions.last().expect("there is at least one version")
    }
}

impl MasterKeyVersion {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl std::fmt::Debug for MasterKeyVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {}", self.number)
    }
}
