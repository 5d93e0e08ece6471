//! The frames of a user that are not folded into the checkpoint's record yet.

use domain::port::store::StoreError;

use super::chain::{Chain, follow_chain, segment_missing};
use super::damaged;
use crate::engine::Engine;
use crate::journal::NewestFrame;
use crate::seal::Cipher;
use crate::sled_store::SealedRecord;
use crate::user_hash::UserHash;

/// The frames of a user since the checkpoint's record, still sealed.
pub(crate) struct UnfoldedUser {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// The sequence of the newest frame.
    pub(crate) sequence: u64,
    pub(crate) cipher: Cipher,
    pub(crate) chain: Chain,
}

/// Finds a user whose record was read before, for the checkpoint: nothing else changes records or removes segments
/// meanwhile.
pub(crate) fn unfolded_user(
    engine: &Engine,
    user: &UserHash,
    newest: NewestFrame,
    record: Option<&SealedRecord>,
) -> Result<UnfoldedUser, StoreError> {
    assemble(engine, user, Some(newest), record)?.ok_or_else(segment_missing)
}

/// Puts together what the index (`newest`) and sled (`record`) know of a user; at least one of them knows the user. Returns
/// `None` if a checkpoint removed a segment that is needed: the record in sled is newer by then.
pub(super) fn assemble(
    engine: &Engine,
    user: &UserHash,
    newest: Option<NewestFrame>,
    record: Option<&SealedRecord>,
) -> Result<Option<UnfoldedUser>, StoreError> {
    let (slot, generation) = match (&newest, record) {
        (Some(newest), Some(record)) if (newest.slot, newest.generation) != (record.slot, record.generation) => {
            return Err(damaged("a record and a frame of one user name different slots".to_owned()));
        }
        (_, Some(record)) => (record.slot, record.generation),
        (Some(newest), None) => (newest.slot, newest.generation),
        (None, None) => return Err(damaged("a frame of an unknown user".to_owned())),
    };
    let cipher = engine.cipher(slot, generation)?;
    let folded = record.map_or(0, |record| record.number);
    let sequence = newest.map_or(0, |newest| newest.sequence).max(folded);
    let Some(chain) = follow_chain(engine, user, newest, folded)? else { return Ok(None) };
    Ok(Some(UnfoldedUser { slot, generation, sequence, cipher, chain }))
}
