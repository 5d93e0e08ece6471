//! Outlets: what live subscribers receive, and the bounded queue that it waits in.

mod frame;
mod queue;

pub(crate) use frame::{CursorKey, gone, patch, profile, resync};
pub use frame::{Frame, FrameKind};
pub(crate) use queue::Push;
pub use queue::{OutletReceiver, OutletSender, channel};
