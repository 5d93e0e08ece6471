//! Folding one user: the frames since the last checkpoint become a new record and closed history blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::port::store::{Folded, HistoryBlock, StoreError};

use super::Checkpointer;
use crate::journal::NewestFrame;
use crate::load::{HELD_BYTES, UnfoldedUser, open_link, segment_missing, unfolded_user};
use crate::seal::kind;
use crate::sled_store::{FoldedUser, SealedRecord, UserBody};
use crate::user_hash::UserHash;

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
        let UnfoldedUser { slot, generation, sequence, cipher, body, chain } =
            unfolded_user(engine, user, newest, before.as_ref())?;
        if chain.is_empty() {
            return Ok(None);
        }
        let (mut state, mut tail) = body.map(|body| (body.state, body.tail)).unzip();
        let mut closed = Vec::new();
        let mut links = chain.links().peekable();
        while links.peek().is_some() {
            let (mut frames, mut bytes) = (Vec::new(), 0);
            // The frames of one user are folded in slices that fit in memory.
            while let Some(link) = links.next_if(|link| bytes == 0 || bytes + link.length <= HELD_BYTES) {
                bytes += link.length;
                frames.push(open_link(engine, link, &cipher)?.ok_or_else(segment_missing)?);
            }
            let folded = self.fold_slice(slot, state.as_deref(), tail.as_deref(), &frames)?;
            closed.extend(folded.closed);
            (state, tail) = (Some(folded.state), Some(folded.tail));
        }
        let body = UserBody { state: state.unwrap_or_default(), tail: tail.unwrap_or_default() };

        let seal_block = |HistoryBlock { first_revision, body }| {
            let record = SealedRecord::unsealed(kind::HISTORY_BLOCK, *user, slot, generation, first_revision);
            engine.sled.seal(&cipher, &body, record, &*engine.entropy)
        };
        let record = SealedRecord::unsealed(kind::USER, *user, slot, generation, sequence);
        Ok(Some(FoldedUser {
            user: *user,
            record: engine.sled.seal_user(&cipher, &body, record, &*engine.entropy)?,
            closed: closed.into_iter().map(seal_block).collect::<Result<_, _>>()?,
            before,
        }))
    }

    /// Folds frames of one user. The rules of the domain run here, and a panic in them must not end all checkpoints.
    fn fold_slice(
        &self,
        slot: u32,
        state: Option<&[u8]>,
        tail: Option<&[u8]>,
        frames: &[Vec<u8>],
    ) -> Result<Folded, StoreError> {
        let fold = || self.fold.fold(state, tail.filter(|tail| !tail.is_empty()), frames);
        catch_unwind(AssertUnwindSafe(fold)).unwrap_or_else(|_| {
            Err(StoreError::Damaged { what: format!("the frames of slot {slot}: their fold panics") })
        })
    }
}
