//! Outlets: what live subscribers receive, and the bounded queue that it waits in.

mod cursor;
mod message;
mod queue;

pub(crate) use cursor::CursorKey;
pub use message::{FrameKind, Message, text_header};
pub(crate) use queue::Push;
pub use queue::{Frame, OutletReceiver, OutletSender, channel};
