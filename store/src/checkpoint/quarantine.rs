//! Users whose frames do not fold: they are set aside, sealed as they are, so that a checkpoint can go on.

use super::{CheckpointError, Checkpointer};
use crate::journal::{NewestFrame, Position, SegmentItem, parse_item};
use crate::user_hash::UserHash;

impl Checkpointer {
    /// Keeps the raw frames of a user that lie at `from` or behind: the journal is about to let go of them. What lies
    /// before is in sled already, folded or set aside.
    pub(super) fn set_aside(
        &self,
        user: &UserHash,
        entry: NewestFrame,
        from: Position,
        what: &str,
    ) -> Result<(), CheckpointError> {
        let sled = &self.engine.sled;
        let (mut position, mut sequence, mut kept) = (entry.position, entry.sequence, 0);
        while position >= from && sequence > 0 {
            // Without the frame nobody knows where the ones before it lie.
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
            sled.quarantine_frame(user, entry.sequence, &[])?;
        }
        sled.set_quarantined(*user);
        tracing::error!("{user:?} does not fold ({what}): {kept} sealed frames of theirs are in quarantine");
        Ok(())
    }
}
