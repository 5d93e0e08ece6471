//! The newest frame of a user, whether the journal or only a checkpoint has it.

use domain::port::store::StoreError;

use super::damaged;
use crate::engine::Engine;
use crate::journal::{NewestFrame, Position};
use crate::user_hash::UserHash;

/// Returns the newest frame of a user; its position is [`Position::NONE`] when only a checkpoint has it. The sequence
/// of a checkpoint's record is used only if the record's seal opens, since the next frame continues it.
pub(crate) fn newest_frame(engine: &Engine, user: &UserHash) -> Result<Option<NewestFrame>, StoreError> {
    engine.sled.check_quarantine(user)?;
    if let Some(newest) = engine.index.get(user) {
        return Ok(Some(newest));
    }
    let Some(record) = engine.sled.user(user)? else { return Ok(None) };
    let cipher = engine.cipher(record.slot, record.generation)?;
    let authentic = cipher.open(&record.nonce, record.label(), &record.sealed);
    authentic.map_err(|_| damaged(format!("the seal of the record of slot {}", record.slot)))?;
    let (slot, generation, sequence) = (record.slot, record.generation, record.number);
    Ok(Some(NewestFrame { slot, generation, sequence, position: Position::NONE }))
}

/// Returns the sequence of a user's newest frame; 0 for an unknown user. The seal of a checkpoint's record is not
/// checked.
pub(crate) fn newest_sequence(engine: &Engine, user: &UserHash) -> Result<u64, StoreError> {
    if let Some(newest) = engine.index.get(user) {
        return Ok(newest.sequence);
    }
    Ok(engine.sled.user(user)?.map_or(0, |record| record.number))
}
