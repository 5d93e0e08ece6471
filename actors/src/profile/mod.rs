//! The ProfileActor: one user's live state.
//!
//! Read `core` first, then `apply` (an event becomes pending), `settle` (pending becomes the head), `read` and `watch`.

mod actor;
mod apply;
mod core;
mod outlets;
mod read;
mod request;
mod settle;
mod watch;

pub(crate) use self::core::Core;
pub use self::core::UserCounters;
pub(crate) use actor::ProfileActor;
pub use read::Completeness;
pub(crate) use request::{ApplyFeedEvent, GetCompleteness, GetView, OpenOutlet, Opened, Request, WriteConsent};
pub use watch::Subscription;
