//! The frames of a user that are not folded into the checkpoint's record yet.

use domain::erasure::Tombstone;
use domain::port::store::StoreError;

use super::chain::{Chain, ChainStart, follow_chain, segment_missing};
use super::damaged;
use crate::engine::{Engine, KeyFault};
use crate::erasure::{erased_by_slot, tombstone_in_journal, tombstone_in_record};
use crate::journal::NewestFrame;
use crate::seal::{Cipher, kind};
use crate::sled_store::SealedRecord;
use crate::user_hash::UserHash;

/// A user, as index and sled know it together.
pub(crate) enum FoundUser {
    Living(Box<UnfoldedUser>),
    Erased { slot: u32, tombstone: Tombstone },
}

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
) -> Result<FoundUser, StoreError> {
    assemble(engine, user, Some(newest), record)?.ok_or_else(segment_missing)
}

/// Puts together what the index (`newest`) and sled (`record`) know of a user; at least one of them knows the user. Returns
/// `None` if a checkpoint removed a segment that is needed: the record in sled is newer by then.
pub(super) fn assemble(
    engine: &Engine,
    user: &UserHash,
    newest: Option<NewestFrame>,
    record: Option<&SealedRecord>,
) -> Result<Option<FoundUser>, StoreError> {
    let slots = newest.as_ref().zip(record).map(|(newest, record)| (newest.slot, record.slot));
    if slots.is_some_and(|(newest, record)| newest != record) {
        return Err(damaged("a record and a frame of one user name different slots".to_owned()));
    }
    // A checkpoint may have written the record after the index was read.
    let newest = newest.filter(|newest| record.is_none_or(|record| record.number < newest.sequence));
    let (slot, generation, sequence) = match (newest, record) {
        (Some(newest), _) if newest.is_erasure => {
            let tombstone = tombstone_in_journal(engine, user, newest)?;
            return Ok(tombstone.map(|tombstone| FoundUser::Erased { slot: newest.slot, tombstone }));
        }
        (Some(newest), _) => (newest.slot, newest.generation, newest.sequence),
        (None, Some(record)) if record.kind == kind::TOMBSTONE => {
            let tombstone = tombstone_in_record(engine, record)?;
            return Ok(Some(FoundUser::Erased { slot: record.slot, tombstone }));
        }
        (None, Some(record)) => (record.slot, record.generation, record.number),
        (None, None) => return Err(damaged("a frame of an unknown user".to_owned())),
    };
    let cipher = match engine.user_key(slot, generation) {
        Ok(key) => key.cipher(),
        Err(KeyFault::Erased) => {
            let tombstone = erased_by_slot(engine, slot, sequence)?;
            return Ok(Some(FoundUser::Erased { slot, tombstone }));
        }
        Err(KeyFault::Store(error)) => return Err(error),
    };
    let folded = match record {
        None => ChainStart::After(0),
        Some(record) if record.kind == kind::USER && record.generation < generation => ChainStart::Generation,
        Some(record) => ChainStart::After(record.number),
    };
    let Some(chain) = follow_chain(engine, user, newest, folded)? else { return Ok(None) };
    Ok(Some(FoundUser::Living(Box::new(UnfoldedUser { slot, generation, sequence, cipher, chain }))))
}
