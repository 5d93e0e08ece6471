//! Quarantine: frames that do not fold are kept as they are, sealed, so that the checkpoint can continue.

use super::{CheckpointError, Checkpointer};
use crate::journal::{NewestFrame, Position, SegmentItem, parse_item};
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
        while position >= from && sequence > 0 {
            // Only the frame contains the position of the one before it.
            let Some(bytes) = self.engine.segments.fetch(position)? else { break };
            let SegmentItem::Frame { header, length, .. } = parse_item(&bytes) else { break };
            if (header.user, header.sequence) != (*user, sequence) {
                break;
            }
            sled.quarantine_frame(user, sequence, &bytes[..length])?;
            kept += 1;
            (position, sequence) = (header.previous, sequence - 1);
        }
        if kept == 0 {
            sled.quarantine_frame(user, newest.sequence, &[])?;
        }
        sled.set_quarantined(*user);
        tracing::error!("{user:?} could not be folded ({what}): {kept} of its sealed frames were moved to quarantine");
        Ok(())
    }
}
