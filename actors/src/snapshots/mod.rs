//! Snapshots: taking, listing, reading and removing them.
//!
//! What a user's snapshots are is read from the store each time, so it takes no memory. Reads have permits of their own, and
//! block threads of their own, so that they do not delay users that are being loaded.

mod details;
mod read;
mod requests;
mod turns;

pub use details::SnapshotDetails;
pub(crate) use read::SnapshotReader;
pub use requests::{PastView, SnapshotError, SnapshotPage, SnapshotPosition};
pub(crate) use turns::UserTurns;
