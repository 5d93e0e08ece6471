//! Reads through history: what a profile was, what changed between two points, and which revisions there are.
//!
//! What is read from the past is shown under today's mask. Reads have threads and a queue of their own, so that loading users
//! does not wait for them.

mod difference;
mod page;
mod point;
mod read;
mod replayed;
mod resolve;

pub use difference::Difference;
pub use page::{ListedCause, ListedRevision, RevisionPage};
pub use point::{HistoryFault, HistoryPoint};
pub use replayed::{ReplayedPage, ReplayedRevision, RevisionContent, RevisionRange};
