//! A user leaves quarantine with the records of a backup, and with the frames in quarantine that follow them, if they fold.

use std::collections::BTreeMap;

use domain::port::store::{SideKey, StoreError};

use super::Checkpointer;
use super::fold::FoldedHistory;
use super::release::{Leftovers, Target, not_open, unfit};
use crate::quarantine::{QuarantineError, ReleasedUser, StoredRecords};
use crate::seal::{Cipher, kind};
use crate::sled_store::{SealedRecord, StoredUser};
use crate::user_hash::UserHash;

/// The records of a backup, opened.
struct OpenedRecords {
    slot: u32,
    generation: u32,
    cipher: Cipher,
    /// The sequence of the state.
    left: u64,
    stored: StoredUser,
    side_records: BTreeMap<SideKey, Vec<u8>>,
}

/// How a user goes on.
struct RestoredUser {
    opened: OpenedRecords,
    released: ReleasedUser,
}

impl Checkpointer {
    /// Returns how a user would go on from the records of a backup. Writes nothing.
    pub(crate) fn check_restore(
        &self,
        user: &UserHash,
        records: &StoredRecords,
    ) -> Result<ReleasedUser, QuarantineError> {
        self.restored(user, records).map(|restored| restored.released)
    }

    /// Puts the records of a backup in place of those of a user. Nothing is lost unless `may_lose`.
    pub(crate) fn restore(
        &self,
        user: &UserHash,
        records: &StoredRecords,
        may_lose: bool,
    ) -> Result<ReleasedUser, QuarantineError> {
        let RestoredUser { opened, released } = self.restored(user, records)?;
        if released.lost > 0 && !may_lose {
            return Err(QuarantineError::WouldLose { lost: released.lost });
        }
        let OpenedRecords { slot, generation, cipher, stored, side_records, .. } = opened;
        let target = Target { user, slot, generation, cipher: &cipher };
        self.release(&target, stored, released.sequence, None, side_records, Leftovers::None)?;
        Ok(released)
    }

    /// Opens the records of a backup, and takes the frames behind them, or goes on without those.
    fn restored(&self, user: &UserHash, records: &StoredRecords) -> Result<RestoredUser, QuarantineError> {
        let mut opened = self.open_records(user, records)?;
        let (left, sequence) = (opened.left, self.newest_sequence(user)?);
        let held = self.engine.sled.quarantined_user(user)?;
        let behind: Vec<u64> = held.frames.range(left + 1..).map(|(sequence, _)| *sequence).collect();
        if left <= sequence && behind.iter().copied().eq(left + 1..=sequence) {
            let OpenedRecords { slot, generation, cipher, stored, side_records, .. } = &opened;
            let target = Target { user, slot: *slot, generation: *generation, cipher };
            let stored = StoredUser { user: stored.user, state: stored.state.clone() };
            let history = FoldedHistory { put: side_records.clone(), ..FoldedHistory::default() };
            match self.fold_behind(&target, Some(stored), history, &behind) {
                Ok((Some(stored), history)) => {
                    let folded = behind.len() as u64;
                    let released = ReleasedUser { user: stored.user, sequence, folded, lost: 0 };
                    (opened.stored, opened.side_records) = (stored, history.put);
                    return Ok(RestoredUser { opened, released });
                }
                Ok((None, _)) | Err(QuarantineError::StillDamaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let state = std::mem::take(&mut opened.stored.state);
        let (state, changes) = self.after_loss(opened.slot, state, left, sequence)?;
        opened.stored.state = state;
        let put = std::mem::take(&mut opened.side_records);
        let mut history = FoldedHistory { put, ..FoldedHistory::default() };
        history.add(changes);
        opened.side_records = history.put;
        let released = ReleasedUser { user: opened.stored.user, sequence, folded: 0, lost: sequence - left };
        Ok(RestoredUser { opened, released })
    }

    /// Opens the records of a backup under the user's key, and checks that they are the user's and of one state.
    fn open_records(&self, user: &UserHash, records: &StoredRecords) -> Result<OpenedRecords, QuarantineError> {
        let engine = &*self.engine;
        let state = assembled(&records.state, user).ok_or_else(|| unfit("the state is not whole"))?;
        let (slot, generation, left) = (state.slot, state.generation, state.number);
        if state.kind == kind::TOMBSTONE {
            return Err(unfit("the user was erased when the backup was made"));
        }
        match self.slot_of(user)? {
            Some((of, newer)) if of == slot && newer > generation => {
                return Err(unfit("the user was erased after the backup, so they can never be read again"));
            }
            Some(held) if held != (slot, generation) => {
                return Err(unfit("they are of another generation or slot"));
            }
            _ => {}
        }
        let cipher = engine.cipher(slot, generation).map_err(|error| not_open(error, "their key"))?;
        let stored = engine.sled.open_user(&cipher, &state).map_err(|error| not_open(error, "the state"))?;
        if engine.hasher.hash(&stored.user) != *user {
            return Err(unfit("they are of another user"));
        }
        let mut side_records = BTreeMap::new();
        for (key, values) in &records.side_records {
            let record = assembled(values, user).filter(|record| record.number == key.number);
            let record = record.ok_or_else(|| unfit("a side record is not whole"))?;
            if (record.slot, record.generation) != (slot, generation) {
                return Err(unfit("a side record is of another generation or slot"));
            }
            // The base of the next block has the number of its first record.
            if key.number > left + 1 {
                return Err(unfit("a side record is newer than the state"));
            }
            let body = engine.sled.open_record(&cipher, kind::side_record(key.kind), &record);
            side_records.insert(*key, body.map_err(|error: StoreError| not_open(error, "a side record"))?);
        }
        Ok(OpenedRecords { slot, generation, cipher, left, stored, side_records })
    }
}

/// Puts the values of a record together; `None` if they are not all there.
fn assembled(values: &[Vec<u8>], user: &UserHash) -> Option<SealedRecord> {
    let (first, rest) = values.split_first()?;
    if usize::from(SealedRecord::chunk_count(first)?) != values.len() {
        return None;
    }
    let mut record = SealedRecord::from_first(first, *user)?;
    rest.iter().for_each(|value| record.sealed.extend_from_slice(value));
    Some(record)
}
