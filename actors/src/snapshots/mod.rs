//! Snapshots: taking, listing, reading and removing them.
//!
//! What a user's snapshots are is read from the store each time, by the threads for reads through history, so it takes no
//! memory.

mod details;
mod read;
mod requests;
mod turns;

pub use details::SnapshotDetails;
pub use requests::{PastView, SnapshotError, SnapshotPage, SnapshotPosition};
pub(crate) use turns::UserTurns;
