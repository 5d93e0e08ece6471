//! Outlets: the messages that live subscribers receive, and the bounded queues that they wait in.

mod cursor;
mod message;
mod queue;

pub(crate) use cursor::CursorKey;
pub use message::{FrameKind, OutletMessage, text_header};
pub(crate) use queue::Push;
pub use queue::{OutletFrame, OutletReceiver, OutletSender, channel};
