//! Quarantine: frames that do not fold are kept as they are, sealed, so that the checkpoint can continue.

use super::{CheckpointError, Checkpointer};
use crate::journal::{NewestFrame, Position, SegmentItem, parse_item};
use crate::load::open_frame;
use crate::quarantine::{QuarantineNote, QuarantineReason};
use crate::retention_clock::RetentionClock;
use crate::user_hash::UserHash;

impl Checkpointer {
    /// Copies the sealed frames of a user at `from` and behind it into quarantine, because their segments are about to be
    /// removed. Earlier frames are in sled already, folded or in quarantine. `what` names the cause in the log.
    pub(super) fn quarantine(
        &self,
        user: &UserHash,
        newest: NewestFrame,
        from: Position,
        what: &str,
    ) -> Result<(), CheckpointError> {
        let sled = &self.engine.sled;
        let (mut position, mut sequence, mut kept) = (newest.position, newest.sequence, 0);
        let cipher = self.engine.cipher(newest.slot, newest.generation).ok();
        let mut reason = self.reason_before_frames(user);
        while position >= from && sequence > 0 {
            // Only the frame contains the position of the one before it.
            let Some(bytes) = self.engine.segments.fetch(position)? else { break };
            let frame = match parse_item(&bytes) {
                SegmentItem::Frame { header, sealed, length }
                    if (header.user, header.sequence) == (*user, sequence) =>
                {
                    (header, sealed, length)
                }
                _ => {
                    reason = reason.or(Some(QuarantineReason::Frame));
                    break;
                }
            };
            let (header, sealed, length) = frame;
            if cipher.as_ref().is_some_and(|cipher| open_frame(cipher, &header, sealed).is_none()) {
                reason = reason.or(Some(QuarantineReason::Seal));
            }
            sled.quarantine_frame(user, sequence, &bytes[..length])?;
            kept += 1;
            (position, sequence) = (header.previous, sequence - 1);
        }
        if kept == 0 {
            sled.quarantine_frame(user, newest.sequence, &[])?;
        }
        let reason = match cipher {
            Some(_) => reason.unwrap_or(QuarantineReason::Fold),
            None => QuarantineReason::Key,
        };
        let (slot, generation) = (newest.slot, newest.generation);
        let since = self.engine.retention_clock.as_ref().map_or(0, RetentionClock::now);
        let note = QuarantineNote { reason, since, slot, generation, message: what.to_owned() };
        sled.note_quarantine(user, &note.encode())?;
        sled.set_quarantined(*user);
        self.engine.unreadable.forget(user);
        tracing::error!("{user:?} could not be folded ({what}): {kept} of its sealed frames were moved to quarantine");
        Ok(())
    }

    /// Returns why a user whose frames are all folded cannot be loaded.
    pub(crate) fn unreadable_reason(&self, user: &UserHash) -> QuarantineReason {
        let engine = &*self.engine;
        match engine.sled.user(user) {
            Ok(Some(record)) if engine.cipher(record.slot, record.generation).is_err() => QuarantineReason::Key,
            _ => self.reason_before_frames(user).unwrap_or(QuarantineReason::Fold),
        }
    }

    /// Returns why a user cannot be folded, if that does not lie in the frames.
    fn reason_before_frames(&self, user: &UserHash) -> Option<QuarantineReason> {
        let engine = &*self.engine;
        let Ok(record) = engine.sled.user(user) else { return Some(QuarantineReason::State) };
        let record = record?;
        let cipher = engine.cipher(record.slot, record.generation).ok()?;
        engine.sled.open_user(&cipher, &record).is_err().then_some(QuarantineReason::State)
    }
}
