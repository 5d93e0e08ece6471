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
pub(crate) use frame::{MARK_BYTES, SegmentItem, claimed_length, parse};
pub(crate) use index::{Index, NewestFrame};
pub(crate) use position::Position;
pub(crate) use recover::{Recovered, recover};
pub(crate) use segment::{
    Fetched, MovedGroup, NEW_FILE_NAME, SEGMENT_HEADER_BYTES, SegmentHeaderFault, SegmentRetention, Segments,
};

/// The folder of the segments in the data directory.
pub(crate) const DIRECTORY: &str = "journal";
