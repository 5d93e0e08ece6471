//! The stored form of what a record says about snapshots.
//!
//! ```text
//! length  field
//!      1  1 taken, 2 removed, 3 a daily one removed
//!         -- taken
//!     16  id
//!         revision, created_at (signed), expires_at (signed)
//!      1  trigger
//!         -- removed
//!         sequence of the record that took it
//!         -- a daily one removed
//!         revision, generated_at (signed)
//! ```

use super::codec::{DecodeError, Reader, Writer};
use crate::snapshot::{RequestedSnapshot, SnapshotId, SnapshotMark, SnapshotTrigger};

const TAKEN: u8 = 1;
const REMOVED: u8 = 2;
const DAILY_REMOVED: u8 = 3;

/// Appends a mark.
pub(super) fn write_mark(out: &mut Writer, mark: &SnapshotMark) {
    match mark {
        SnapshotMark::Taken(RequestedSnapshot { id, revision, created_at, expires_at, trigger }) => {
            out.u8(TAKEN);
            out.fixed(&id.to_bytes());
            out.varint(*revision);
            out.signed(*created_at);
            out.signed(*expires_at);
            out.u8(*trigger as u8);
        }
        SnapshotMark::Removed { taken } => {
            out.u8(REMOVED);
            out.varint(*taken);
        }
        SnapshotMark::DailyRemoved { revision, generated_at } => {
            out.u8(DAILY_REMOVED);
            out.varint(*revision);
            out.signed(*generated_at);
        }
    }
}

/// Reads a mark.
///
/// # Errors
/// The bytes are not a mark.
pub(super) fn read_mark(input: &mut Reader) -> Result<SnapshotMark, DecodeError> {
    Ok(match input.u8()? {
        TAKEN => SnapshotMark::Taken(RequestedSnapshot {
            id: SnapshotId::from_bytes(input.array()?),
            revision: input.varint()?,
            created_at: input.signed()?,
            expires_at: input.signed()?,
            trigger: SnapshotTrigger::from_number(input.u8()?)
                .filter(|trigger| *trigger != SnapshotTrigger::Daily)
                .ok_or(DecodeError::Unknown { what: "trigger" })?,
        }),
        REMOVED => SnapshotMark::Removed { taken: input.varint()? },
        DAILY_REMOVED => SnapshotMark::DailyRemoved { revision: input.varint()?, generated_at: input.signed()? },
        _ => return Err(DecodeError::Unknown { what: "mark of a snapshot" }),
    })
}
