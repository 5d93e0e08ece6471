//! Folding one user: the frames since the last checkpoint become a new record and history.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::port::journal::Record;
use domain::port::store::{Folded, SideKey, SideKind, SideRecord, StoreError};

use super::Checkpointer;
use crate::journal::NewestFrame;
use crate::load::{HELD_BYTES, UnfoldedUser, newest_block, open_link, segment_missing, unfolded_user};
use crate::seal::kind;
use crate::sled_store::{FoldedUser, SealedRecord, StoredUser};
use crate::user_hash::UserHash;

/// The changes of a user's side records over the slices of a fold.
#[derive(Default)]
struct SideChanges {
    newest_block: Option<SideRecord>,
    put: BTreeMap<SideKey, Vec<u8>>,
    remove: BTreeSet<SideKey>,
}

impl SideChanges {
    /// Adds the changes of a slice.
    fn add(&mut self, put: Vec<SideRecord>, remove: Vec<SideKey>) {
        for key in remove {
            self.newest_block.take_if(|block| block.key == key);
            self.put.remove(&key);
            self.remove.insert(key);
        }
        for record in put {
            self.remove.remove(&record.key);
            self.put.insert(record.key, record.body.clone());
            if record.key.kind == SideKind::HISTORY {
                self.newest_block = Some(record);
            }
        }
    }
}

impl Checkpointer {
    /// Folds the new frames of a user; `None` if they are folded already.
    pub(super) fn fold_user(&self, user: &UserHash, newest: NewestFrame) -> Result<Option<FoldedUser>, StoreError> {
        let engine = &*self.engine;
        if engine.sled.is_quarantined(user) {
            return Err(StoreError::Damaged { what: "earlier frames are in quarantine".to_owned() });
        }
        let before = engine.sled.user(user)?;
        let stored = before.as_ref().map(|record| (record.slot, record.generation, record.number));
        if stored == Some((newest.slot, newest.generation, newest.sequence)) {
            return Ok(None);
        }
        let UnfoldedUser { slot, generation, sequence, cipher, stored, chain } =
            unfolded_user(engine, user, newest, before.as_ref())?;
        if chain.is_empty() {
            return Ok(None);
        }
        let (mut id, mut state) = stored.map(|stored| (stored.user, stored.state)).unzip();
        let newest_block = newest_block(engine, user, (generation, &cipher))?;
        let mut changes = SideChanges { newest_block, ..SideChanges::default() };
        let mut links = chain.links().peekable();
        while links.peek().is_some() {
            let (mut frames, mut bytes) = (Vec::new(), 0);
            // The frames of one user are folded in slices that fit in memory.
            while let Some(link) = links.next_if(|link| bytes == 0 || bytes + link.length <= HELD_BYTES) {
                bytes += link.length;
                let record = open_link(engine, link, &cipher)?.ok_or_else(segment_missing)?;
                if *id.get_or_insert(record.user) != record.user {
                    return Err(StoreError::Damaged { what: format!("slot {slot}: a frame of another user") });
                }
                frames.push(record);
            }
            let folded = self.fold_slice(slot, state.as_deref(), changes.newest_block.as_ref(), &frames)?;
            state = Some(folded.state);
            changes.add(folded.put, folded.remove);
        }
        let (Some(id), Some(state)) = (id, state) else { return Ok(None) };
        let seal_side_record = |(key, body): (SideKey, Vec<u8>)| {
            let kind = kind::side_record(key.kind);
            let record = SealedRecord::unsealed(kind, *user, slot, generation, key.number);
            Ok((key, engine.sled.seal(&cipher, &body, record, &*engine.entropy)?))
        };
        let record = SealedRecord::unsealed(kind::USER, *user, slot, generation, sequence);
        Ok(Some(FoldedUser {
            user: *user,
            record: engine.sled.seal_user(&cipher, StoredUser { user: id, state }, record, &*engine.entropy)?,
            before,
            put: changes.put.into_iter().map(seal_side_record).collect::<Result<_, StoreError>>()?,
            remove: changes.remove.into_iter().collect(),
        }))
    }

    /// Folds frames of one user. The rules of the domain run here, and a panic in them must not end all checkpoints.
    fn fold_slice(
        &self,
        slot: u32,
        state: Option<&[u8]>,
        newest_block: Option<&SideRecord>,
        frames: &[Record],
    ) -> Result<Folded, StoreError> {
        let fold = || self.fold.fold(state, newest_block, frames);
        catch_unwind(AssertUnwindSafe(fold)).unwrap_or_else(|_| {
            Err(StoreError::Damaged { what: format!("the frames of slot {slot}: their fold panics") })
        })
    }
}
