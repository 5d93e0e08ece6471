//! The journal: preallocated segments of sealed, checksummed frames. A record is acknowledged when the journal has synced
//! it, and not before.

mod first_segment;
mod format;
mod frame;
mod index;
mod position;
mod recover;
mod segment;
mod segment_header;

pub(crate) use format::check_format;
pub(crate) use frame::{
    FRAME_HEADER_BYTES, FrameHeader, MARK_BYTES, SegmentItem, claimed_length, encode_mark, find_mark, finish_frame,
    parse_item,
};
pub(crate) use index::{Index, NewestFrame};
pub(crate) use position::Position;
pub(crate) use recover::{Recovered, recover};
pub(crate) use segment::{NEW_FILE_NAME, OpenSegment, SegmentRetention, Segments};
pub(crate) use segment_header::{MovedGroup, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentHeaderFault};

/// The folder of the segments in the data directory.
pub(crate) const DIRECTORY: &str = "journal";
