//! The stored forms: a change (a journal frame's body), a state (a checkpoint's), and history.
//!
//! A change says both what the registers took and what the leaves became, so that replay needs no rules:
//! whatever the code or the settings are by then, a revision comes back as it was published.

mod change;
mod codec;
mod edit;
mod entry;
mod history;
mod leaf_value;
mod rewind;
mod state;
mod step;

pub(crate) use change::encode;
pub use change::replay;
pub use codec::DecodeError;
pub use entry::{HistoryEntry, entries};
pub use history::{Hydration, Replay};
pub use leaf_value::LeafValue;
pub use rewind::{Rewind, RewindResult};
pub use state::{pack, unpack};
pub use step::{FrameStep, RevisionStep, follow};

/// The format of every body here. A body of another is refused.
const FORMAT: u8 = 1;
