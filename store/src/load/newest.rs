//! The newest frame of a user, whether the journal or only a checkpoint has it.

use domain::erasure::Tombstone;
use domain::port::log::NewestRecord;
use domain::port::store::StoreError;

use super::damaged;
use crate::engine::{Engine, KeyFault};
use crate::erasure::{erased_by_slot, tombstone_in_record};
use crate::journal::{NewestFrame, Position};
use crate::quarantine::{QuarantineNote, whole_frame};
use crate::seal::kind;
use crate::user_hash::UserHash;

/// Returns the newest frame of a user; its position is [`Position::NONE`] when only a checkpoint has it. The sequence
/// of a checkpoint's record is used only if the record's seal opens, since the next frame continues it. A user who was erased
/// has an erasure as the newest frame, even if only the keyring knows of it.
pub(crate) fn newest_frame(engine: &Engine, user: &UserHash) -> Result<Option<NewestFrame>, StoreError> {
    let newest = engine.index.get(user);
    if newest.is_some_and(|newest| newest.is_erasure) {
        return Ok(newest);
    }
    engine.sled.check_quarantine(user)?;
    if newest.is_some() {
        return Ok(newest);
    }
    let Some(record) = engine.sled.user(user)? else { return Ok(None) };
    let erased = |tombstone: Tombstone| NewestFrame {
        slot: record.slot,
        generation: tombstone.generation,
        sequence: tombstone.last_sequence,
        is_erasure: true,
        position: Position::NONE,
    };
    if record.kind == kind::TOMBSTONE {
        return Ok(Some(erased(tombstone_in_record(engine, &record)?)));
    }
    let cipher = match engine.user_key(record.slot, record.generation) {
        Ok(key) => key.cipher(),
        Err(KeyFault::Erased) => return Ok(Some(erased(erased_by_slot(engine, record.slot, record.number)?))),
        Err(KeyFault::Store(error)) => return Err(error),
    };
    let authentic = cipher.open(&record.nonce, record.label(), &record.sealed);
    authentic.map_err(|_| damaged(format!("the seal of the record of slot {}", record.slot)))?;
    let (slot, generation, sequence) = (record.slot, record.generation, record.number);
    Ok(Some(NewestFrame { slot, generation, sequence, is_erasure: false, position: Position::NONE }))
}

/// Returns the newest frame of a user as headers claim it, though the user is in quarantine or the record's seal does not open.
pub(crate) fn newest_claimed_frame(engine: &Engine, user: &UserHash) -> Result<Option<NewestFrame>, StoreError> {
    if let Some(newest) = newest_unfolded(engine, user)? {
        return Ok(Some(newest));
    }
    Ok(engine.sled.user(user)?.map(|record| NewestFrame {
        slot: record.slot,
        generation: record.generation,
        sequence: record.number,
        is_erasure: record.kind == kind::TOMBSTONE,
        position: Position::NONE,
    }))
}

/// Returns what is known of a user's newest frame. The seal of a checkpoint's record is not checked.
pub(crate) fn newest_record(engine: &Engine, user: &UserHash) -> Result<NewestRecord, StoreError> {
    let (sequence, generation, is_erasure) = match newest_unfolded(engine, user)? {
        Some(newest) => (newest.sequence, newest.generation, newest.is_erasure),
        None => match engine.sled.user(user)? {
            Some(record) => (record.number, record.generation, record.kind == kind::TOMBSTONE),
            None => return Ok(NewestRecord::default()),
        },
    };
    Ok(NewestRecord { sequence, erased: if is_erasure { generation } else { generation - 1 } })
}

/// Returns the newest frame of a user that no checkpoint has folded: that of the journal, or else that in quarantine, whose segments
/// may be gone.
pub(crate) fn newest_unfolded(engine: &Engine, user: &UserHash) -> Result<Option<NewestFrame>, StoreError> {
    if let Some(newest) = engine.index.get(user) {
        return Ok(Some(newest));
    }
    if !engine.sled.is_quarantined(user) {
        return Ok(None);
    }
    let held = engine.sled.quarantined_user(user)?;
    let mut key = None;
    for sequence in held.frames.keys().rev() {
        let frame = engine.sled.quarantined_frame(user, *sequence)?;
        if let Some((header, _)) = whole_frame(&frame, user, *sequence) {
            key = Some((header.slot, header.generation));
            break;
        }
    }
    let noted = held.note.as_deref().and_then(QuarantineNote::decode).map(|note| (note.slot, note.generation));
    let newest = key.or(noted).zip(held.frames.keys().next_back());
    Ok(newest.map(|((slot, generation), sequence)| NewestFrame {
        slot,
        generation,
        sequence: *sequence,
        is_erasure: false,
        position: Position::NONE,
    }))
}
