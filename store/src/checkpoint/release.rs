//! Users leave quarantine: with their frames, which fold now, or without them; `from_backup` has the third way. The caller
//! keeps checkpoints from running. A user is written and leaves the quarantine in one transaction, so that a crash leaves it in
//! quarantine or out of it.

use std::collections::BTreeMap;

use domain::id::UserId;
use domain::port::journal::Record;
use domain::port::store::{SideChanges, SideKey, StoreError};

use super::Checkpointer;
use super::fold::{FoldedHistory, guarded};
use crate::load::{HELD_BYTES, History, newest_unfolded, open_frame};
use crate::quarantine::{QuarantineError, ReleasedUser, whole_frame};
use crate::retention_clock::RetentionClock;
use crate::seal::{Cipher, kind};
use crate::sled_store::{FoldedUser, SealedRecord, StoredUser};
use crate::user_hash::UserHash;

/// The sequence and the packed state of a checkpoint's record. A tombstone has a sequence and no state: what follows it is of the
/// next generation.
pub(crate) type StateLeft = (u64, Option<Vec<u8>>);

impl Checkpointer {
    /// Returns what the last checkpoint has of a user; `None` if there is nothing.
    pub(crate) fn state_left(&self, user: &UserHash) -> Result<Option<StateLeft>, StoreError> {
        let Some(record) = self.engine.sled.user(user)? else { return Ok(None) };
        if record.kind == kind::TOMBSTONE {
            return Ok(Some((record.number, None)));
        }
        let cipher = self.engine.cipher(record.slot, record.generation)?;
        Ok(Some((record.number, Some(self.engine.sled.open_user(&cipher, &record)?.state))))
    }

    /// Returns whom the state of the last checkpoint is of; `None` if there is none that opens.
    pub(crate) fn id_of_state(&self, user: &UserHash) -> Result<Option<UserId>, StoreError> {
        let Ok(Some(record)) = self.engine.sled.user(user) else { return Ok(None) };
        let Ok(cipher) = self.engine.cipher(record.slot, record.generation) else { return Ok(None) };
        Ok(self.engine.sled.open_user(&cipher, &record).ok().map(|stored| stored.user))
    }

    /// Returns the state after one record is replayed over `state`.
    pub(crate) fn replay_one(&self, state: Option<&[u8]>, record: &Record) -> Result<Vec<u8>, StoreError> {
        guarded(0, || self.fold.replay(state, std::slice::from_ref(record)))
    }

    /// Folds the frames in quarantine over the state of the last checkpoint.
    pub(crate) fn refold(&self, user: &UserHash) -> Result<ReleasedUser, QuarantineError> {
        let engine = &*self.engine;
        let before = engine.sled.user(user).map_err(still_damaged)?;
        let folded = before.as_ref().map_or(0, |record| record.number);
        let held = engine.sled.quarantined_user(user)?;
        let mut sequences: Vec<u64> = held.frames.range(folded + 1..).map(|(sequence, _)| *sequence).collect();
        let Some((slot, generation)) = self.newest_key(user, before.as_ref(), &sequences)? else {
            return Err(QuarantineError::NothingLeft);
        };
        // What is left of an earlier generation is no state to begin with, and its frames cannot be read any more.
        let state = before.as_ref().filter(|record| record.is_state_of(generation));
        let mut first = folded + 1;
        if state.is_none() {
            while let Some(sequence) = sequences.first().copied()
                && self.key_of(user, sequence)?.is_some_and(|(_, of)| of != generation)
            {
                sequences.remove(0);
                first = sequence + 1;
            }
        }
        if let Some((expected, _)) = (first..).zip(&sequences).find(|(expected, found)| expected != *found) {
            return Err(QuarantineError::StillDamaged { what: format!("frame {expected} is missing") });
        }
        let cipher = engine.cipher(slot, generation).map_err(still_damaged)?;
        let stored = state.map(|record| engine.sled.open_user(&cipher, record)).transpose();
        let stored = stored.map_err(still_damaged)?;
        let history = History { engine, user, generation, cipher: &cipher };
        let newest_block = history.newest_block().map_err(still_damaged)?;
        let changes = FoldedHistory { newest_block, ..FoldedHistory::default() };
        let target = Target { user, slot, generation, cipher: &cipher };
        let (stored, changes) = self.fold_behind(&target, stored, changes, &sequences)?;
        let stored = stored.ok_or(QuarantineError::NothingLeft)?;
        let (id, sequence) = (stored.user, sequences.last().copied().unwrap_or(folded));
        let remove = Leftovers::Removed(changes.remove.into_iter().collect());
        self.release(&target, stored, sequence, before, changes.put, remove)?;
        Ok(ReleasedUser { user: id, sequence, folded: sequences.len() as u64, lost: 0 })
    }

    /// Folds frames in quarantine over a state.
    pub(super) fn fold_behind(
        &self,
        target: &Target<'_>,
        mut stored: Option<StoredUser>,
        mut changes: FoldedHistory,
        mut sequences: &[u64],
    ) -> Result<(Option<StoredUser>, FoldedHistory), QuarantineError> {
        let Target { user, slot, cipher, .. } = *target;
        while !sequences.is_empty() {
            let frames = self.frames(user, cipher, &mut sequences)?;
            let Some(id) = frames.first().map(|frame| frame.user) else { break };
            if frames.iter().any(|frame| frame.user != stored.as_ref().map_or(id, |stored| stored.user)) {
                return Err(QuarantineError::StillDamaged { what: "a frame is of another user".to_owned() });
            }
            let state = stored.as_ref().map(|stored| &stored.state[..]);
            let state = guarded(slot, || self.fold.replay(state, &frames)).map_err(still_damaged)?;
            let newest_block = changes.newest_block();
            let added = guarded(slot, || self.fold.keep_history(&state, newest_block, &frames));
            changes.add(added.map_err(still_damaged)?);
            stored = Some(StoredUser { user: id, state });
        }
        Ok((stored, changes))
    }

    /// Lets a user go on with the state of the last checkpoint.
    pub(crate) fn drop_frames(&self, user: &UserHash) -> Result<ReleasedUser, QuarantineError> {
        let engine = &*self.engine;
        let nothing_left = |error| match error {
            StoreError::Damaged { .. } => QuarantineError::NothingLeft,
            error => error.into(),
        };
        let before = engine.sled.user(user).map_err(nothing_left)?.ok_or(QuarantineError::NothingLeft)?;
        let (slot, generation, left) = (before.slot, before.generation, before.number);
        if self.slot_of(user)?.is_some_and(|newest| newest != (slot, generation)) {
            return Err(QuarantineError::NothingLeft);
        }
        let cipher = engine.cipher(slot, generation).map_err(nothing_left)?;
        let StoredUser { user: id, state } = engine.sled.open_user(&cipher, &before).map_err(nothing_left)?;
        let target = Target { user, slot, generation, cipher: &cipher };
        let sequence = self.newest_sequence(user)?;
        let (state, changes) = self.after_loss(slot, state, left, sequence)?;
        let put = changes.put.into_iter().map(|record| (record.key, record.body)).collect();
        let stored = StoredUser { user: id, state };
        self.release(&target, stored, sequence, Some(before), put, Leftovers::Removed(changes.remove))?;
        Ok(ReleasedUser { user: id, sequence, folded: 0, lost: sequence - left })
    }

    /// Returns the sequence of the newest frame that was acknowledged, as far as it is known: in quarantine, in the journal, or
    /// folded into a record that may not open.
    pub(super) fn newest_sequence(&self, user: &UserHash) -> Result<u64, StoreError> {
        let held = self.engine.sled.quarantined_user(user)?;
        let folded = self.engine.sled.user(user).unwrap_or(None).map_or(0, |record| record.number);
        let newest = self.engine.index.get(user).map_or(0, |newest| newest.sequence);
        Ok(newest.max(folded).max(held.frames.keys().next_back().copied().unwrap_or(0)))
    }

    /// Returns the state with which a user goes on at `sequence` after one of the sequence `left`, and the history that leads to
    /// it.
    pub(super) fn after_loss(
        &self,
        slot: u32,
        state: Vec<u8>,
        left: u64,
        sequence: u64,
    ) -> Result<(Vec<u8>, SideChanges), QuarantineError> {
        if left > sequence {
            return Err(unfit("they are newer than the quarantine"));
        }
        if left == sequence {
            return Ok((state, SideChanges::default()));
        }
        let now = self.engine.retention_clock.as_ref().map_or(0, RetentionClock::now);
        guarded(slot, || self.fold.after_loss(&state, sequence, now)).map_err(|error| not_open(error, "the state"))
    }

    /// Writes a user, removes its frames from the quarantine, and lets loads succeed again.
    pub(super) fn release(
        &self,
        target: &Target<'_>,
        stored: StoredUser,
        sequence: u64,
        before: Option<SealedRecord>,
        put: BTreeMap<SideKey, Vec<u8>>,
        leftovers: Leftovers,
    ) -> Result<(), StoreError> {
        let engine = &*self.engine;
        let Target { user, slot, generation, cipher } = *target;
        let failed = |source| StoreError::Unavailable { doing: "writing a user that leaves quarantine", source };
        self.ensure_reserve().map_err(|error| failed(Box::new(error)))?;
        let (remove, is_all_new) = match leftovers {
            Leftovers::Removed(keys) => (keys, false),
            Leftovers::None => (Vec::new(), true),
        };
        let seal = |(key, body): (SideKey, Vec<u8>)| {
            let record = SealedRecord::unsealed(kind::side_record(key.kind), *user, slot, generation, key.number);
            Ok((key, engine.sled.seal(cipher, body, record, &*engine.entropy)?))
        };
        let record = SealedRecord::unsealed(kind::USER, *user, slot, generation, sequence);
        let folded = FoldedUser {
            user: *user,
            record: Some(engine.sled.seal_user(cipher, stored, record, &*engine.entropy)?),
            before,
            put: put.into_iter().map(seal).collect::<Result<_, StoreError>>()?,
            remove,
        };
        // Histories that are read meanwhile are read again.
        let write = || engine.sled.write_released(&folded, is_all_new).map(|()| 0);
        engine.history_versions.rewrite(user, write).map_err(|error| failed(Box::new(error)))?;
        engine.sled.flush().map_err(|error| failed(Box::new(error)))?;
        engine.sled.set_released(user);
        engine.unreadable.forget(user);
        engine.measure();
        Ok(())
    }

    /// Opens frames in quarantine up to [`HELD_BYTES`], at least one, and takes their sequences from `rest`.
    fn frames(&self, user: &UserHash, cipher: &Cipher, rest: &mut &[u64]) -> Result<Vec<Record>, QuarantineError> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some((&sequence, others)) = rest.split_first() {
            let frame = self.engine.sled.quarantined_frame(user, sequence)?;
            if bytes > 0 && bytes + frame.len() > HELD_BYTES {
                break;
            }
            bytes += frame.len();
            let damaged = |what| QuarantineError::StillDamaged { what: format!("{what} of frame {sequence}") };
            let (header, sealed) = whole_frame(&frame, user, sequence).ok_or_else(|| damaged("the bytes"))?;
            frames.push(open_frame(cipher, &header, sealed).ok_or_else(|| damaged("the seal"))?);
            *rest = others;
        }
        Ok(frames)
    }

    /// Returns the slot and the generation of the key that seals a frame in quarantine; `None` if the frame is not whole.
    fn key_of(&self, user: &UserHash, sequence: u64) -> Result<Option<(u32, u32)>, StoreError> {
        let frame = self.engine.sled.quarantined_frame(user, sequence)?;
        Ok(whole_frame(&frame, user, sequence).map(|(header, _)| (header.slot, header.generation)))
    }

    /// Returns the slot and the generation of a user's newest key, from the newest frame that is whole or from the state.
    fn newest_key(
        &self,
        user: &UserHash,
        before: Option<&SealedRecord>,
        sequences: &[u64],
    ) -> Result<Option<(u32, u32)>, StoreError> {
        for sequence in sequences.iter().rev() {
            if let Some(key) = self.key_of(user, *sequence)? {
                return Ok(Some(key));
            }
        }
        Ok(before.map(|record| (record.slot, record.generation)))
    }

    /// Returns the slot and the generation of a user's key, from wherever they are known.
    pub(super) fn slot_of(&self, user: &UserHash) -> Result<Option<(u32, u32)>, StoreError> {
        if let Some(newest) = newest_unfolded(&self.engine, user)? {
            return Ok(Some((newest.slot, newest.generation)));
        }
        let record = self.engine.sled.user(user).unwrap_or(None);
        Ok(record.map(|record| (record.slot, record.generation)))
    }
}

/// The user that is written, and the key that seals it.
pub(super) struct Target<'a> {
    pub(super) user: &'a UserHash,
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) cipher: &'a Cipher,
}

/// What becomes of the records of a user that are not written.
pub(super) enum Leftovers {
    /// The side records with these keys are removed, and the others stay.
    Removed(Vec<SideKey>),
    /// Nothing stays, readable or not.
    None,
}

pub(super) fn unfit(what: &str) -> QuarantineError {
    QuarantineError::Unfit { what: what.to_owned() }
}

pub(super) fn not_open(error: StoreError, what: &str) -> QuarantineError {
    match error {
        StoreError::Damaged { .. } => unfit(&format!("{what} cannot be read")),
        error => error.into(),
    }
}

fn still_damaged(error: StoreError) -> QuarantineError {
    match error {
        StoreError::Damaged { what } => QuarantineError::StillDamaged { what },
        error => error.into(),
    }
}
