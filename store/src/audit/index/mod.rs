//! Which lines of a segment are about a subject.

mod build;
mod file;

pub(super) use build::{IndexBuilder, IndexedLine, merge};
pub(super) use file::{IndexFile, IndexSummary};

/// A line that is about a subject: the first 8 bytes of the subject hash, and the offset of the line.
pub(super) type Posting = (u64, u64);
