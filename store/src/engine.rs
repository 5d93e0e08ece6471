//! The open store as its threads share it: one appends, several load users, one makes checkpoints, one writes dead
//! letters, one does the upkeep.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::port::clock::Entropy;
use domain::port::store::StoreError;
use parking_lot::Mutex;

use crate::checkpoint_trigger::CheckpointTrigger;
use crate::erasure::ErasureKey;
use crate::history_versions::HistoryVersions;
use crate::journal::{Index, Position, SegmentRetention, Segments};
use crate::keyring::{IssuedSlot, Keyring, SlotFault};
use crate::load::UnreadableUsers;
use crate::metric::Metrics;
use crate::retention_clock::RetentionClock;
use crate::seal::{Cipher, SecretKey};
use crate::signal::Signal;
use crate::sled_store::SledStore;
use crate::status::StoreStatus;
use crate::user_hash::UserHasher;

/// The parts of an open store. Each locks itself.
pub(crate) struct Engine {
    pub(crate) keyring: Arc<Keyring>,
    /// Seals tombstones.
    pub(crate) erasure_key: ErasureKey,
    pub(crate) hasher: UserHasher,
    pub(crate) segments: Segments,
    pub(crate) index: Index,
    pub(crate) sled: SledStore,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) status: StoreStatus,
    pub(crate) metrics: Metrics,
    /// Wakes the checkpoint thread.
    pub(crate) checkpoint_trigger: Arc<CheckpointTrigger>,
    /// Decides what is removed because of its age. Without it, nothing is.
    pub(crate) retention_clock: Option<RetentionClock>,
    /// Tells loads about histories that are thinned.
    pub(crate) history_versions: HistoryVersions,
    /// The users in whom loads have found damage.
    pub(crate) unreadable: UnreadableUsers,
    /// Wakes the upkeep thread.
    pub(crate) upkeep_signal: Signal,
    /// The time of an erasure of which the keyring tells nothing but that it was: no event that was accepted before the store was
    /// opened is later. In microseconds since the Unix epoch.
    pub(crate) unknown_erased_at: i64,
    /// Locked by an append, and by a backup at its moment.
    pub(crate) append_gate: Mutex<()>,
    /// Number of records that were appended since the start.
    pub(crate) appended_records: AtomicU64,
    durable_end: AtomicU64,
    _lock_file: Arc<File>,
}

/// Why there is no key of a user's generation.
#[derive(Debug)]
pub(crate) enum KeyFault {
    /// The generation was erased.
    Erased,
    /// The keyring could not be read, or is damaged.
    Store(StoreError),
}

/// The parts of an [`Engine`] that start-up makes.
pub(crate) struct EngineParts {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) segments: Segments,
    pub(crate) index: Index,
    pub(crate) sled: SledStore,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) checkpoint_trigger: Arc<CheckpointTrigger>,
    pub(crate) metrics: Metrics,
    pub(crate) retention_clock: Option<RetentionClock>,
    /// How far ahead of the clock the time of an event may be, in microseconds.
    pub(crate) future_tolerance: i64,
    /// Locked for as long as the engine lives.
    pub(crate) lock_file: Arc<File>,
}

impl Engine {
    /// Puts `parts` together. `durable_end` is where the recovered journal ends.
    pub(crate) fn new(parts: EngineParts, durable_end: Position) -> Self {
        Self {
            hasher: UserHasher::new(parts.keyring.user_hash_key().bytes()),
            erasure_key: ErasureKey::new(&parts.keyring.system_keys()),
            unknown_erased_at: parts
                .retention_clock
                .as_ref()
                .map_or(i64::MIN, |clock| clock.now().saturating_add(parts.future_tolerance)),
            keyring: parts.keyring,
            segments: parts.segments,
            index: parts.index,
            sled: parts.sled,
            entropy: parts.entropy,
            status: StoreStatus::default(),
            metrics: parts.metrics,
            checkpoint_trigger: parts.checkpoint_trigger,
            retention_clock: parts.retention_clock,
            history_versions: HistoryVersions::new(),
            unreadable: UnreadableUsers::default(),
            upkeep_signal: Signal::default(),
            append_gate: Mutex::new(()),
            appended_records: AtomicU64::new(0),
            durable_end: AtomicU64::new(durable_end.to_u64()),
            _lock_file: parts.lock_file,
        }
    }

    /// Returns where the acknowledged frames end. All frames before it are in the index or in a checkpoint.
    pub(crate) fn durable_end(&self) -> Position {
        Position::from_u64(self.durable_end.load(Ordering::Acquire))
    }

    /// Records that all frames before `end` are durable and in the index.
    pub(crate) fn set_durable_end(&self, end: Position) {
        self.durable_end.store(end.to_u64(), Ordering::Release);
    }

    /// Frees disk space by removing all segments that are kept only for followers: on a full disk, new writes come before
    /// old positions that a follower may want to resume from. Returns whether any segment was removed.
    pub(crate) fn free_follower_segments(&self) -> bool {
        match self.segments.remove_folded(SegmentRetention::NONE) {
            Ok(any) => any,
            Err(error) => {
                tracing::warn!("the disk is full, and old segments of the journal could not be removed: {error}");
                false
            }
        }
    }

    /// Takes `count` unused slots of the keyring. If the keyring has to grow, this waits while sled is reopened, which
    /// needs the disk space that its reserve gave up.
    pub(crate) fn take_slots(&self, count: usize) -> io::Result<Vec<IssuedSlot>> {
        let ready = self.keyring.take_ready(count);
        if ready.len() == count {
            return Ok(ready);
        }
        self.keyring.give_back(ready);
        let _space = self.sled.reserve().lock_space();
        self.keyring.take(count)
    }

    /// Updates the gauges of what is on disk.
    pub(crate) fn measure(&self) {
        self.metrics.journal_bytes.set(self.segments.bytes() as f64);
        self.metrics.keyring_bytes.set(self.keyring.bytes() as f64);
        self.metrics.sled_bytes.set(self.sled.bytes() as f64);
        let damaged_users = self.sled.quarantined_users() + self.unreadable.count();
        self.metrics.quarantined_users.set(damaged_users as f64);
    }

    /// Returns the cipher of the data key in a slot.
    pub(crate) fn cipher(&self, slot: u32, generation: u32) -> Result<Cipher, StoreError> {
        self.data_key(slot, generation).map(|key| key.cipher())
    }

    /// Returns the data key in a slot. A destroyed one is damage here: the key is no user's, or the user is known to live.
    pub(crate) fn data_key(&self, slot: u32, generation: u32) -> Result<SecretKey, StoreError> {
        self.user_key(slot, generation).map_err(|fault| fault.into_damage(slot))
    }

    /// Returns the data key of a user's generation, or of a table, which may have been destroyed.
    pub(crate) fn user_key(&self, slot: u32, generation: u32) -> Result<SecretKey, KeyFault> {
        self.keyring.data_key(slot, generation).map_err(key_fault)
    }

    /// Returns the data key of the generation that begins after an erasure. It is durable once the keyring's slots are synced.
    pub(crate) fn renew_key(&self, slot: u32, generation: u32) -> Result<SecretKey, StoreError> {
        self.keyring.renew(slot, generation).map_err(|fault| key_fault(fault).into_damage(slot))
    }
}

impl KeyFault {
    fn into_damage(self, slot: u32) -> StoreError {
        match self {
            Self::Erased => StoreError::Damaged { what: format!("slot {slot} of the keyring was destroyed") },
            Self::Store(error) => error,
        }
    }
}

fn key_fault(fault: SlotFault) -> KeyFault {
    match fault {
        SlotFault::Erased => KeyFault::Erased,
        SlotFault::Unavailable(source) => {
            KeyFault::Store(StoreError::Unavailable { doing: "reading the keyring", source: source.into() })
        }
        SlotFault::Damaged { slot, what } => {
            KeyFault::Store(StoreError::Damaged { what: format!("slot {slot} of the keyring {what}") })
        }
    }
}
