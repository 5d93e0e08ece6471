//! Folding one user: the frames since the last checkpoint become a new state and history.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::erasure::Tombstone;
use domain::id::UserId;
use domain::port::journal::Record;
use domain::port::memory::CommittedState;
use domain::port::store::{Fold, SideChanges, SideKey, SideKind, SideRecord, StoreError};

use super::Checkpointer;
use crate::erasure::bury;
use crate::journal::NewestFrame;
use crate::load::{FoundUser, HELD_BYTES, History, Link, UnfoldedUser, open_link, segment_missing, unfolded_user};
use crate::seal::{Cipher, kind};
use crate::sled_store::{FoldedUser, SealedRecord, StoredUser};
use crate::user_hash::UserHash;

/// The changes of a user's side records over the slices of a fold.
#[derive(Default)]
pub(super) struct FoldedHistory {
    /// That of the last checkpoint, if no base follows it.
    pub(super) newest_block: Option<SideRecord>,
    pub(super) put: BTreeMap<SideKey, Vec<u8>>,
    pub(super) remove: BTreeSet<SideKey>,
}

impl FoldedHistory {
    /// Adds the changes of a slice.
    pub(super) fn add(&mut self, changes: SideChanges) {
        for key in changes.remove {
            self.put.remove(&key);
            self.remove.insert(key);
        }
        for SideRecord { key, body } in changes.put {
            self.remove.remove(&key);
            self.put.insert(key, body);
        }
    }

    /// Returns the newest block, if no base follows it.
    pub(super) fn newest_block(&mut self) -> Option<SideRecord> {
        let newest = |kind| self.put.keys().rfind(|key| key.kind == kind).copied();
        match (newest(SideKind::HISTORY), newest(SideKind::BASE)) {
            (Some(key), base) if base.is_none_or(|base| base.number <= key.number) => {
                self.put.get(&key).map(|body| SideRecord { key, body: body.clone() })
            }
            (Some(_), _) => None,
            (None, _) => self.newest_block.take(),
        }
    }
}

impl Checkpointer {
    /// Folds the new frames of a user; `None` if they are folded already.
    pub(super) fn fold_user(&self, user: &UserHash, newest: NewestFrame) -> Result<Option<FoldedUser>, StoreError> {
        let engine = &*self.engine;
        // An erased user is in quarantine no more.
        if engine.sled.is_quarantined(user) && !newest.is_erasure {
            return Err(StoreError::Damaged { what: "earlier frames are in quarantine".to_owned() });
        }
        let before = engine.sled.user(user)?;
        let stored = before.as_ref().map(|record| (record.slot, record.generation, record.number));
        if stored == Some((newest.slot, newest.generation, newest.sequence)) {
            return Ok(None);
        }
        let unfolded = match unfolded_user(engine, user, newest, before.as_ref())? {
            FoundUser::Living(unfolded) => unfolded,
            FoundUser::Erased { slot, tombstone } => {
                return self.fold_erasure(user, slot, &tombstone, before).map(Some);
            }
        };
        let UnfoldedUser { slot, generation, sequence, cipher, chain } = *unfolded;
        let folded = before.as_ref().filter(|record| record.is_state_of(generation));
        let history = History { engine, user, generation, cipher: &cipher };
        let mut changes = FoldedHistory { newest_block: history.newest_block()?, ..FoldedHistory::default() };
        let mut states = StateSource { fold: &*self.fold, slot, stored: folded, committed: None, last: None };
        let (mut links, mut id) = (chain.links().peekable(), None);
        // The frames of one user are folded in slices that fit in memory.
        while let Some(frames) = self.next_slice(&mut links, &cipher, slot, &mut id)? {
            if let Some(id) = id.filter(|_| states.last.is_none()) {
                // Memory is asked after the frames were found. It may have got newer ones since; such a state is not used.
                states.committed = self.committed(&id, generation).filter(|state| state.sequence <= sequence);
            }
            states.advance(&frames, |record| engine.sled.open_user(&cipher, record))?;
            let Some(next) = &states.last else { continue };
            let newest_block = changes.newest_block();
            changes.add(guarded(slot, || self.fold.keep_history(next, newest_block, &frames))?);
        }
        let (Some(id), Some(state)) = (id, states.last) else { return Ok(None) };
        let seal_side_record = |(key, body): (SideKey, Vec<u8>)| {
            let kind = kind::side_record(key.kind);
            let record = SealedRecord::unsealed(kind, *user, slot, generation, key.number);
            Ok((key, engine.sled.seal(&cipher, body, record, &*engine.entropy)?))
        };
        // What is left of an earlier generation cannot be read any more.
        let is_next_generation = before.is_some() && folded.is_none();
        let left = if is_next_generation { engine.sled.all_side_records(user)? } else { Vec::new() };
        changes.remove.extend(left.into_iter().filter(|key| !changes.put.contains_key(key)));
        let record = SealedRecord::unsealed(kind::USER, *user, slot, generation, sequence);
        Ok(Some(FoldedUser {
            user: *user,
            record: Some(engine.sled.seal_user(&cipher, StoredUser { user: id, state }, record, &*engine.entropy)?),
            before,
            put: changes.put.into_iter().map(seal_side_record).collect::<Result<_, StoreError>>()?,
            remove: changes.remove.into_iter().collect(),
        }))
    }

    /// Puts a tombstone in the place of a user's record. Nothing else of the user stays, and no key: the journal, which has the
    /// tombstone as well, is not needed any more afterwards.
    fn fold_erasure(
        &self,
        user: &UserHash,
        slot: u32,
        tombstone: &Tombstone,
        before: Option<SealedRecord>,
    ) -> Result<FoldedUser, StoreError> {
        let engine = &*self.engine;
        bury(engine, slot, tombstone)?;
        engine.sled.lift_quarantine(user)?;
        engine.unreadable.forget(user);
        let record =
            SealedRecord::unsealed(kind::TOMBSTONE, *user, slot, tombstone.generation, tombstone.last_sequence);
        let content = tombstone.encode().to_vec();
        let record = engine.sled.seal(engine.erasure_key.cipher(), content, record, &*engine.entropy)?;
        let remove = engine.sled.all_side_records(user)?;
        Ok(FoldedUser { user: *user, record: Some(record), before, put: Vec::new(), remove })
    }

    /// Returns what memory holds of a user, if it is of the generation.
    fn committed(&self, user: &UserId, generation: u32) -> Option<CommittedState> {
        let states = self.committed_states.get()?;
        states.committed(user).filter(|state| state.generation == generation)
    }

    /// Opens frames of one user up to [`HELD_BYTES`]; `None` if there are no more. `id` is the user that they must be of, or
    /// becomes it.
    fn next_slice(
        &self,
        links: &mut std::iter::Peekable<impl Iterator<Item = Link>>,
        cipher: &Cipher,
        slot: u32,
        id: &mut Option<UserId>,
    ) -> Result<Option<Vec<Record>>, StoreError> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(link) = links.next_if(|link| bytes == 0 || bytes + link.length <= HELD_BYTES) {
            bytes += link.length;
            let record = open_link(&self.engine, link, cipher)?.ok_or_else(segment_missing)?;
            if *id.get_or_insert(record.user) != record.user {
                return Err(StoreError::Damaged { what: format!("slot {slot}: a frame of another user") });
            }
            frames.push(record);
        }
        Ok((!frames.is_empty()).then_some(frames))
    }
}

/// Finds the state after a slice of frames: memory may hold it, or else the frames are replayed.
struct StateSource<'a> {
    fold: &'a dyn Fold,
    slot: u32,
    /// The record of the last checkpoint. It is opened only if frames are replayed over it.
    stored: Option<&'a SealedRecord>,
    committed: Option<CommittedState>,
    /// The state after the last slice.
    last: Option<Vec<u8>>,
}

impl StateSource<'_> {
    /// Moves on to the state after `frames`. Whether it comes from memory or from a replay makes no difference to what is
    /// written: a state has one packed form, but for the day and the rules, which memory may know newer.
    fn advance(
        &mut self,
        frames: &[Record],
        open: impl FnOnce(&SealedRecord) -> Result<StoredUser, StoreError>,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(newest)) = (frames.first(), frames.last()) else { return Ok(()) };
        let is_near = |state: &mut CommittedState| (first.sequence - 1..=newest.sequence).contains(&state.sequence);
        let (before, rest) = match self.committed.take_if(is_near) {
            Some(state) => {
                let rest = &frames[(state.sequence + 1 - first.sequence) as usize..];
                if rest.is_empty() {
                    self.last = Some(state.packed);
                    return Ok(());
                }
                (Some(state.packed), rest)
            }
            None => match (self.last.take(), self.stored) {
                (None, Some(record)) => (Some(open(record)?.state), frames),
                (last, _) => (last, frames),
            },
        };
        self.last = Some(guarded(self.slot, || self.fold.replay(before.as_deref(), rest))?);
        Ok(())
    }
}

/// Runs rules of the domain. A panic in them must not end all checkpoints.
pub(super) fn guarded<T>(slot: u32, rules: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(rules))
        .unwrap_or_else(|_| Err(StoreError::Damaged { what: format!("the frames of slot {slot}: their fold panics") }))
}
