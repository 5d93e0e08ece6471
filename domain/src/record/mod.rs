//! The stored forms: a change (a journal frame's body), a state (a checkpoint's), and history.
//!
//! A change records both the registers that were written and the resulting leaves, so replay does not depend on the
//! rules: even after the code or the settings have changed, a revision is restored exactly as it was published.

mod after_loss;
mod block;
mod cause;
mod change;
mod codec;
mod edit;
mod history;
mod history_step;
mod leaf_value;
mod merged;
mod parts;
mod past_search;
mod replay_check;
mod revision_list;
mod rewind;
mod snapshot_mark;
mod snapshot_record;
mod snapshot_scan;
mod state;
mod step;
mod thinning;
mod tokens;
mod walk;

pub use after_loss::greatest_revision;
pub use block::{BlockRecord, DroppedRevisions, RevisionOrigin, records};
pub use cause::Cause;
pub use change::replay;
pub(crate) use change::{encode, encode_mark};
pub use codec::DecodeError;
pub use history::{Hydration, Replay};
pub use past_search::{PastOutcome, PastSearch, PastTarget};
pub use replay_check::{ReplayCheck, ReplayReport};
pub use revision_list::{RevisionEntry, RevisionList, VisibleCause};
pub use rewind::{Rewind, RewindResult};
pub use snapshot_scan::{ScannedHistory, SnapshotScan};
pub use state::{pack, packed_sequence, unpack, unpack_own};
pub use step::{FrameStep, RevisionStep, follow};
pub use thinning::ThinHistory;
pub use walk::HistoryWalk;

#[cfg(test)]
mod tests;

/// The format number of every stored body. A body with another number is refused.
const FORMAT: u8 = 2;
