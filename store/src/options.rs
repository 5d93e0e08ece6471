//! What the store is told at start-up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use zeroize::Zeroizing;

use crate::disk::{Disk, RealDisk};

/// How the store runs. The root maps its configuration onto it.
#[derive(Clone)]
pub struct StoreOptions {
    /// The data directory: made where it is missing, locked while the store is open.
    pub data_dir: PathBuf,
    /// The size of a journal segment in bytes.
    pub segment_bytes: u64,
    /// The longest time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// A checkpoint starts early when the journal has grown by as many bytes since the last, but not sooner than 10 seconds
    /// or a sixth of the interval after it.
    pub checkpoint_journal_bytes: u64,
    /// The most users that a checkpoint writes a second. It takes its time, half the interval, within this bound, and
    /// stops pacing itself when the journal outgrows it. 0 = no bound.
    pub checkpoint_users_per_second: u32,
    /// The newest sequences of as many users are kept in memory (60 bytes each), so that a record of theirs need not ask
    /// sled what it has to continue.
    pub known_users: usize,
    /// Checkpointed journal segments are kept for followers until they exceed as many bytes. 0 = none is kept.
    pub retain_journal_bytes: u64,
    /// They are kept for so long at most, as [`Self::clock`] has it.
    pub retain_journal: Duration,
    /// The bytes of sled pages that are held in memory.
    pub sled_cache_bytes: u64,
    /// The zstd dictionaries of states and history, newest last, trained on the made-up population. The newest
    /// compresses. What was compressed with one can be read with that one only: none may ever be left out.
    pub dictionaries: Vec<Vec<u8>>,
    /// Maximum number of bytes of dead letters that wait to be written.
    pub dead_letter_queue_bytes: usize,
    /// Maximum number of bytes that the dead letters of one source take in the store.
    pub dead_letter_source_bytes: u64,
    /// Maximum number of bytes that all dead letters take in the store.
    pub dead_letter_total_bytes: u64,
    /// Days to keep dead letters.
    pub dead_letter_days: u32,
    /// The wall clock, which says when dead letters and journal segments are due to go. Without one only the arrival of a
    /// new letter does, and segments go by their bytes alone.
    pub clock: Option<Arc<dyn Clock>>,
    /// After a jump of the wall clock forward, nothing is removed for its age until the new time has held this long.
    pub confirm_clock: Duration,
    /// The disk under journal and keyring.
    pub disk: Arc<dyn Disk>,
}

impl StoreOptions {
    /// The defaults, for the store in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            segment_bytes: 64 << 20,
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_journal_bytes: 1 << 30,
            checkpoint_users_per_second: 50_000,
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
            disk: Arc::new(RealDisk),
        }
    }
}

/// The key at the root of the key tree. It wraps one other key and seals nothing else.
pub struct MasterKey {
    version: u32,
    bytes: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// A key with its version: rotation counts it up.
    pub fn new(version: u32, bytes: [u8; 32]) -> Self {
        Self { version, bytes: Zeroizing::new(bytes) }
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey(version {})", self.version)
    }
}
