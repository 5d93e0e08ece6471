//! Which lines of a segment are about which subject.
//!
//! The newest lines are in memory. Parts of the index, the runs, are written for so many lines at once, and merged in levels,
//! so that a segment has a number of runs that grows with the logarithm of its lines.

mod build;
mod file;
mod levels;
mod merge;
mod write;

pub(super) use build::{IndexBuilder, IndexedLine};
pub(super) use file::{IndexFile, IndexSummary};
pub(super) use levels::runs_to_merge;
pub(super) use merge::merge;
pub(super) use write::IndexWriter;

/// A line that is about a subject: the first 8 bytes of the subject hash, and the offset of the line.
pub(super) type Posting = (u64, u64);
