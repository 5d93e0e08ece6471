//! The stored forms: a change (a journal frame's body), a state (a checkpoint's), and history.
//!
//! A change records both the registers that were written and the resulting leaves, so replay does not depend on the
//! rules: even after the code or the settings have changed, a revision is restored exactly as it was published.

mod block;
mod cause;
mod change;
mod codec;
mod edit;
mod history;
mod leaf_value;
mod parts;
mod past_search;
mod revision_list;
mod rewind;
mod state;
mod step;
mod tokens;

pub use block::{BlockRecord, RevisionOrigin, records};
pub use cause::Cause;
pub(crate) use change::encode;
pub use change::replay;
pub use codec::DecodeError;
pub use history::{Hydration, Replay};
pub use past_search::{PastOutcome, PastSearch, PastTarget};
pub use revision_list::{RevisionEntry, RevisionList, VisibleCause};
pub use rewind::{Rewind, RewindResult};
pub use state::{pack, packed_sequence, unpack, unpack_own};
pub use step::{FrameStep, RevisionStep, follow};

#[cfg(test)]
mod tests;

/// The format number of every stored body. A body with another number is refused.
const FORMAT: u8 = 2;
