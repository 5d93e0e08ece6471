//! Finding users, living and erased, and destroying their keys.

use std::sync::Arc;

use domain::erasure::{ErasureReason, Tombstone};
use domain::id::UserId;
use domain::port::erasure::{ErasedUser, ErasureParticipant, StoredUser, UserDirectory};
use domain::port::journal::{RecordKind, RowId};
use domain::port::store::StoreError;
use domain::record::greatest_revision;

use crate::engine::Engine;
use crate::journal::{NewestFrame, SegmentItem, parse_item};
use crate::keyring::{SlotFault, SlotState};
use crate::load::{newest_unfolded, open_frame, segment_missing};
use crate::seal::kind;
use crate::sled_store::SealedRecord;
use crate::user_hash::UserHash;

/// The users by their slots of the keyring.
pub(crate) struct KeyedUsers(pub(crate) Arc<Engine>);

impl UserDirectory for KeyedUsers {
    fn find(&self, user: &UserId) -> Result<Option<StoredUser>, StoreError> {
        let engine = &*self.0;
        let hash = engine.hasher.hash(user);
        // The index is read before sled: a checkpoint writes sled before the index forgets.
        let newest = newest_unfolded(engine, &hash)?;
        let record = engine.sled.user(&hash)?;
        let newest = newest.filter(|newest| record.as_ref().is_none_or(|record| record.number < newest.sequence));
        let (slot, generation, sequence) = match (newest, record) {
            (Some(newest), _) if newest.is_erasure => {
                let tombstone = match tombstone_in_journal(engine, &hash, newest)? {
                    Some(tombstone) => tombstone,
                    // A checkpoint has removed the segment, after it has put the tombstone into sled.
                    None => {
                        let record = engine.sled.user(&hash)?.filter(|record| record.kind == kind::TOMBSTONE);
                        tombstone_in_record(engine, &record.ok_or_else(segment_missing)?)?
                    }
                };
                return Ok(Some(StoredUser::Erased { row: RowId(newest.slot), tombstone }));
            }
            (Some(newest), _) => (newest.slot, newest.generation, newest.sequence),
            (None, Some(record)) if record.kind == kind::TOMBSTONE => {
                let tombstone = tombstone_in_record(engine, &record)?;
                return Ok(Some(StoredUser::Erased { row: RowId(record.slot), tombstone }));
            }
            (None, Some(record)) => (record.slot, record.generation, record.number),
            (None, None) => return Ok(None),
        };
        let row = RowId(slot);
        match engine.keyring.data_key(slot, generation) {
            Err(SlotFault::Unavailable(source)) => Err(unreadable(source)),
            Err(SlotFault::Erased) => {
                Ok(Some(StoredUser::Erased { row, tombstone: erased_by_slot(engine, slot, sequence)? }))
            }
            Ok(_) | Err(SlotFault::Damaged { .. }) => Ok(Some(StoredUser::Living { row, generation })),
        }
    }
}

impl ErasureParticipant for KeyedUsers {
    fn name(&self) -> &'static str {
        "keyring"
    }

    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        bury(&self.0, erased.row.0, &erased.tombstone)?;
        let user = self.0.hasher.hash(&erased.user);
        // The user may live again already, and that life be in quarantine.
        match self.0.sled.quarantined_generation(&user)? {
            Some(generation) if generation > erased.tombstone.generation => Ok(()),
            _ => self.0.sled.lift_quarantine(&user),
        }
    }
}

/// Destroys the key of a generation whose tombstone is durable. Does nothing if that was done before.
pub(crate) fn bury(engine: &Engine, slot: u32, tombstone: &Tombstone) -> Result<(), StoreError> {
    let sealed = engine.erasure_key.seal(slot, tombstone);
    engine.keyring.bury(slot, tombstone.generation, &sealed).map_err(|fault| match fault {
        SlotFault::Unavailable(source) => unreadable(source),
        SlotFault::Erased => destroyed(slot),
        SlotFault::Damaged { slot, what } => StoreError::Damaged { what: format!("slot {slot} of the keyring {what}") },
    })
}

/// Finishes the erasures that the journal has and no checkpoint: a crash may have left their keys.
pub(crate) fn finish_erasures(engine: &Engine) -> Result<(), StoreError> {
    for (user, newest) in engine.index.erasures() {
        let tombstone = tombstone_in_journal(engine, &user, newest)?.ok_or_else(segment_missing)?;
        bury(engine, newest.slot, &tombstone)?;
    }
    Ok(())
}

/// Reads the tombstone of a user whose newest frame is an erasure; `None` if a checkpoint has removed its segment.
pub(crate) fn tombstone_in_journal(
    engine: &Engine,
    user: &UserHash,
    newest: NewestFrame,
) -> Result<Option<Tombstone>, StoreError> {
    let damaged = || StoreError::Damaged { what: format!("the journal's tombstone at {}", newest.position) };
    let Some(bytes) = engine.segments.fetch(newest.position)? else { return Ok(None) };
    let SegmentItem::Frame { header, sealed, .. } = parse_item(&bytes) else { return Err(damaged()) };
    let expected = (*user, newest.slot, newest.generation, newest.sequence, RecordKind::ERASURE.0);
    if (header.user, header.slot, header.generation, header.sequence, header.kind) != expected {
        return Err(damaged());
    }
    let record = open_frame(engine.erasure_key.cipher(), &header, sealed).ok_or_else(damaged)?;
    Tombstone::decode(&record.body, newest.generation).map(Some).ok_or_else(damaged)
}

/// Opens the tombstone that a checkpoint has put in the place of a user's record.
pub(crate) fn tombstone_in_record(engine: &Engine, record: &SealedRecord) -> Result<Tombstone, StoreError> {
    let body = engine.sled.open_record(engine.erasure_key.cipher(), kind::TOMBSTONE, record)?;
    let damaged = || StoreError::Damaged { what: format!("the tombstone of slot {}", record.slot) };
    Tombstone::decode(&body, record.generation).ok_or_else(damaged)
}

/// Returns what remains of a user whose slot says that the generation of the user's newest record, which has the sequence
/// `sequence`, is over. That is so after a backup from before the erasure was restored.
pub(crate) fn erased_by_slot(engine: &Engine, slot: u32, sequence: u64) -> Result<Tombstone, StoreError> {
    let (generation, sealed) = match engine.keyring.slot_state(slot) {
        Ok(SlotState::Live { generation }) => (generation, None),
        Ok(SlotState::Destroyed { generation, tombstone }) => (generation, tombstone),
        Err(SlotFault::Unavailable(source)) => return Err(unreadable(source)),
        Err(SlotFault::Erased | SlotFault::Damaged { .. }) => return Err(destroyed(slot)),
    };
    if let Some(tombstone) = sealed.and_then(|sealed| engine.erasure_key.open(slot, generation, &sealed)) {
        return Ok(tombstone);
    }
    Ok(Tombstone {
        generation,
        erased_at: engine.unknown_erased_at,
        reason: ErasureReason::Restored,
        last_revision: greatest_revision(sequence),
        last_sequence: sequence,
        was_shared: false,
    })
}

fn unreadable(source: std::io::Error) -> StoreError {
    StoreError::Unavailable { doing: "using the keyring", source: source.into() }
}

fn destroyed(slot: u32) -> StoreError {
    StoreError::Damaged { what: format!("slot {slot} of the keyring was destroyed") }
}
