//! The journal: preallocated segments of sealed, checksummed frames. Its sync alone makes an acknowledgement.

mod append;
mod first_segment;
mod format;
mod frame;
mod group;
mod index;
mod last_page;
mod position;
mod recover;
mod segment;

pub(crate) use append::Appender;
pub(crate) use format::check_format;
pub(crate) use frame::{Item, MARK_BYTES, claimed_length, parse};
pub(crate) use index::{Entry, Index};
pub(crate) use position::Position;
pub(crate) use recover::{Recovered, recover};
pub(crate) use segment::{Fetched, HEADER_BYTES, HeaderFault, Keep, Moved, NEW_FILE_NAME, Segments};

/// The folder of the segments in the data directory.
pub(crate) const DIRECTORY: &str = "journal";
