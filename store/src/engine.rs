//! What the threads of the store share: one appends, several load, one checkpoints.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::port::clock::Entropy;
use domain::port::store::{Checkpointed, LoadVisitor, StoreError};

use crate::chain::{Chain, ChainBuilder, Link};
use crate::checkpoint_trigger::CheckpointTrigger;
use crate::journal::{Fetched, Index, NewestFrame, Position, SegmentItem, SegmentRetention, Segments, parse};
use crate::keyring::{IssuedSlot, Keyring, SlotFault};
use crate::metric::Metrics;
use crate::retention_clock::RetentionClock;
use crate::seal::{Cipher, SecretKey};
use crate::signal::Signal;
use crate::sled_store::{SealedRecord, SledStore, UserBody};
use crate::status::StoreStatus;
use crate::user_hash::{UserHash, UserHasher};

/// How often a load starts over because a checkpoint overtook it.
const LOAD_ATTEMPTS: usize = 8;

pub(crate) struct Engine {
    pub(crate) keyring: Keyring,
    pub(crate) hasher: UserHasher,
    pub(crate) segments: Segments,
    pub(crate) index: Index,
    pub(crate) sled: SledStore,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) status: StoreStatus,
    pub(crate) metrics: Metrics,
    pub(crate) checkpoint_trigger: Arc<CheckpointTrigger>,
    /// Decides what is removed for its age. Without one nothing is.
    pub(crate) retention_clock: Option<RetentionClock>,
    /// Wakes the upkeep thread.
    pub(crate) upkeep_signal: Signal,
    durable_end: AtomicU64,
    _lock: File,
}

/// The newest frame of a user, wherever it is.
pub(crate) struct Known {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u64,
    /// [`Position::NONE`] when only a checkpoint has it.
    pub(crate) position: Position,
}

/// What is stored of a user: the record opened, the frames since yet to be.
pub(crate) struct UnfoldedUser {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u64,
    pub(crate) cipher: Cipher,
    pub(crate) body: Option<UserBody>,
    pub(crate) chain: Chain,
}

/// The parts of [`Engine`] that start-up made.
pub(crate) struct EngineParts {
    pub(crate) keyring: Keyring,
    pub(crate) segments: Segments,
    pub(crate) index: Index,
    pub(crate) sled: SledStore,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) checkpoint_trigger: Arc<CheckpointTrigger>,
    pub(crate) metrics: Metrics,
    pub(crate) retention_clock: Option<RetentionClock>,
    /// The locked lock file.
    pub(crate) lock: File,
}

impl Engine {
    pub(crate) fn new(parts: EngineParts, durable_end: Position) -> Self {
        let EngineParts { keyring, segments, index, sled, entropy, checkpoint_trigger, metrics, retention_clock, lock } =
            parts;
        Self {
            hasher: UserHasher::new(keyring.user_hash_key()),
            keyring,
            segments,
            index,
            sled,
            entropy,
            status: StoreStatus::default(),
            metrics,
            checkpoint_trigger,
            retention_clock,
            upkeep_signal: Signal::default(),
            durable_end: AtomicU64::new(durable_end.to_u64()),
            _lock: lock,
        }
    }

    /// Where the acknowledged frames end. All before it is in the index or in a checkpoint.
    pub(crate) fn durable_end(&self) -> Position {
        Position::from_u64(self.durable_end.load(Ordering::Acquire))
    }

    pub(crate) fn set_durable_end(&self, end: Position) {
        self.durable_end.store(end.to_u64(), Ordering::Release);
    }

    /// A write is worth more than a follower's way back: on a full disk, the segments go that are kept for followers
    /// alone. Says whether any did.
    pub(crate) fn free_follower_segments(&self) -> bool {
        match self.segments.remove_folded(SegmentRetention::NONE) {
            Ok(any) => any,
            Err(error) => {
                tracing::warn!("the disk is full, and old segments of the journal could not be removed: {error}");
                false
            }
        }
    }

    /// Takes slots of the keyring, which may grow for it: not while the room that was given up for sled is free.
    pub(crate) fn take_slots(&self, count: usize) -> std::io::Result<Vec<IssuedSlot>> {
        let made = self.keyring.take_ready(count);
        if made.len() == count {
            return Ok(made);
        }
        self.keyring.give_back(made);
        let _room = self.sled.reserve().lock_space();
        self.keyring.take(count)
    }

    /// Updates the gauges of what is on disk.
    pub(crate) fn measure(&self) {
        self.metrics.journal_bytes.set(self.segments.bytes() as f64);
        self.metrics.keyring_bytes.set(self.keyring.bytes() as f64);
        self.metrics.sled_bytes.set(self.sled.bytes() as f64);
        self.metrics.quarantined_users.set(self.sled.quarantined_users() as f64);
    }

    /// The newest frame of a user. A sequence that only sled knows is believed if its seal vouches for it.
    pub(crate) fn last_known(&self, user: &UserHash) -> Result<Option<Known>, StoreError> {
        self.check_quarantine(user)?;
        if let Some(NewestFrame { slot, generation, sequence, position }) = self.index.get(user) {
            return Ok(Some(Known { slot, generation, sequence, position }));
        }
        let Some(record) = self.sled.user(user)? else { return Ok(None) };
        let cipher = self.cipher(record.slot, record.generation)?;
        let authentic = cipher.open(&record.nonce, record.label(), &record.sealed);
        authentic.map_err(|_| damaged(format!("the seal of the record of slot {}", record.slot)))?;
        let (slot, generation, sequence) = (record.slot, record.generation, record.number);
        Ok(Some(Known { slot, generation, sequence, position: Position::NONE }))
    }

    /// Hands the state of the last checkpoint, the history after revision `since` if one is given, and the frames since
    /// the checkpoint to `visitor`. Returns the sequence of the newest frame.
    ///
    /// The index is read before sled. A checkpoint writes sled before the index forgets, so nothing falls between;
    /// if it also removes a segment that is needed here, sled has a newer state by then.
    pub(crate) fn load(
        &self,
        user: &UserHash,
        since: Option<u64>,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<u64>, StoreError> {
        for _ in 0..LOAD_ATTEMPTS {
            self.check_quarantine(user)?;
            let newest = self.index.get(user);
            let record = self.sled.user(user)?;
            let Some(found) = self.assemble(user, newest, record.as_ref())? else { continue };
            let Some(unfolded) = found else { return Ok(None) };
            let sequence = unfolded.sequence;
            if self.visit(user, since, unfolded, visitor)? {
                return Ok(Some(sequence));
            }
        }
        let source = "checkpoints kept overtaking it".into();
        Err(StoreError::Unavailable { doing: "loading a user", source })
    }

    /// Hands what was found of a user to `visitor`. `false` if a segment has gone meanwhile.
    fn visit(
        &self,
        user: &UserHash,
        since: Option<u64>,
        unfolded: UnfoldedUser,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<bool, StoreError> {
        let UnfoldedUser { generation, cipher, body, chain, .. } = unfolded;
        let UserBody { state, tail } = body.unwrap_or_default();
        visitor.checkpoint(Checkpointed { state: (!state.is_empty()).then_some(state), tail })?;
        if let Some(since) = since {
            self.visit_history(user, generation, since, visitor)?;
        }
        for link in chain.links() {
            if visitor.is_done() {
                break;
            }
            let Some(frame) = self.open_link(link, &cipher)? else { return Ok(false) };
            visitor.frame(&frame)?;
        }
        Ok(true)
    }

    /// What sled holds of a user in quarantine is not the newest that was acknowledged.
    fn check_quarantine(&self, user: &UserHash) -> Result<(), StoreError> {
        match self.sled.is_quarantined(user) {
            true => Err(damaged(format!("frames of {user:?} could not be folded and are in quarantine"))),
            false => Ok(()),
        }
    }

    /// Finds a user whose record was read before, for the checkpoint: nobody else changes records or drops segments.
    pub(crate) fn unfolded(
        &self,
        user: &UserHash,
        entry: NewestFrame,
        record: Option<&SealedRecord>,
    ) -> Result<UnfoldedUser, StoreError> {
        let found = self.assemble(user, Some(entry), record)?;
        found.ok_or_else(gone)?.ok_or_else(|| damaged("a frame of nobody".to_owned()))
    }

    /// Puts together what the index and sled know. `None` if a segment has gone meanwhile.
    fn assemble(
        &self,
        user: &UserHash,
        newest: Option<NewestFrame>,
        record: Option<&SealedRecord>,
    ) -> Result<Option<Option<UnfoldedUser>>, StoreError> {
        let (slot, generation) = match (&newest, record) {
            (None, None) => return Ok(Some(None)),
            (Some(entry), None) => (entry.slot, entry.generation),
            (Some(entry), Some(record)) if (entry.slot, entry.generation) != (record.slot, record.generation) => {
                return Err(damaged("a record and a frame of one user name different slots".to_owned()));
            }
            (_, Some(record)) => (record.slot, record.generation),
        };
        let cipher = self.cipher(slot, generation)?;
        let folded = record.map_or(0, |record| record.number);
        let sequence = newest.map_or(0, |entry| entry.sequence).max(folded);
        let Some(chain) = self.chain(user, newest, folded)? else { return Ok(None) };
        let body = record.map(|record| self.sled.open_user(&cipher, record)).transpose()?;
        Ok(Some(Some(UnfoldedUser { slot, generation, sequence, cipher, body, chain })))
    }

    /// Follows a user's chain back from its newest frame to the one after sequence `folded`, and returns the frames in
    /// the order of their sequences. `None` if a segment has gone meanwhile.
    fn chain(&self, user: &UserHash, newest: Option<NewestFrame>, folded: u64) -> Result<Option<Chain>, StoreError> {
        let mut chain = ChainBuilder::default();
        let Some(NewestFrame { mut position, mut sequence, slot, generation }) = newest else {
            return Ok(Some(chain.finish()));
        };
        while sequence > folded {
            let Some(bytes) = self.fetch(position)? else { return Ok(None) };
            let SegmentItem::Frame { header, length, .. } = parse(&bytes) else {
                return Err(damaged(format!("the journal at {position}")));
            };
            if (header.user, header.sequence, header.slot, header.generation) != (*user, sequence, slot, generation) {
                return Err(damaged(format!("the journal's chain at {position}")));
            }
            let previous = header.previous;
            chain.push(position, &bytes[..length]);
            (position, sequence) = (previous, sequence - 1);
        }
        Ok(Some(chain.finish()))
    }

    /// Opens a frame that [`Self::chain`] found. `None` if its segment has gone meanwhile.
    pub(crate) fn open_link(&self, link: Link, cipher: &Cipher) -> Result<Option<Vec<u8>>, StoreError> {
        let Link { position, bytes, .. } = link;
        let Some(bytes) = bytes.map_or_else(|| self.fetch(position), |bytes| Ok(Some(bytes.into_vec())))? else {
            return Ok(None);
        };
        let SegmentItem::Frame { header, sealed, .. } = parse(&bytes) else {
            return Err(damaged(format!("the journal at {position}")));
        };
        let body = cipher.open(&header.nonce, header.label(), sealed);
        body.map(Some).map_err(|_| damaged(format!("the seal of the journal's frame at {position}")))
    }

    /// The bytes at a place in the journal; `None` if its segment has gone.
    pub(crate) fn fetch(&self, position: Position) -> Result<Option<Vec<u8>>, StoreError> {
        match self.segments.fetch(position) {
            Ok(Fetched::Bytes(bytes)) => Ok(Some(bytes)),
            Ok(Fetched::Gone) => Ok(None),
            Err(source) => Err(StoreError::Unavailable { doing: "reading the journal", source: source.into() }),
        }
    }

    /// A user's data key, ready for use.
    pub(crate) fn cipher(&self, slot: u32, generation: u32) -> Result<Cipher, StoreError> {
        self.data_key(slot, generation).map(|key| key.cipher())
    }

    /// A user's data key.
    pub(crate) fn data_key(&self, slot: u32, generation: u32) -> Result<SecretKey, StoreError> {
        self.keyring.data_key(slot, generation).map_err(|fault| match fault {
            SlotFault::Unavailable(source) => {
                StoreError::Unavailable { doing: "reading the keyring", source: source.into() }
            }
            SlotFault::Damaged { slot, what } => damaged(format!("slot {slot} of the keyring {what}")),
        })
    }
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { what }
}

pub(crate) fn gone() -> StoreError {
    damaged("the journal: a segment that no checkpoint covers is missing".to_owned())
}
