//! What projections are filled from at a start: the file that checkpoints save, and scans of all users.
//!
//! The file is sealed under a key in a slot of its own, apart from those of the users, and is written anew as a whole: its
//! name appears when its content is durable. It names the position in the journal up to which it has everything. It is
//! only a copy: whatever is wrong with it, the projection is filled from the users' records instead.

mod file;
mod header;
mod key;
mod saved;
mod scan;

pub(crate) use file::{FILE_NAME, ProjectionFile, SavePace};
