//! Collects the postings of lines until they are written as a run.

use super::{IndexSummary, Posting};
use crate::audit::tree_head::ChainHead;

/// The postings of the newest lines of a segment, in the order of the lines.
#[derive(Debug)]
pub(in crate::audit) struct IndexBuilder {
    postings: Vec<Posting>,
    summary: IndexSummary,
}

/// What an index needs to know about a line.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct IndexedLine {
    pub(in crate::audit) subject: Option<u64>,
    pub(in crate::audit) offset: u64,
    /// Offset after the line and its line break.
    pub(in crate::audit) end: u64,
    /// Where the chain stands after the line.
    pub(in crate::audit) head: ChainHead,
    pub(in crate::audit) time: i64,
}

impl IndexBuilder {
    /// Starts at a place in a segment, where the chain stands at `head`.
    pub(in crate::audit) fn new(offset: u64, head: ChainHead) -> Self {
        Self { postings: Vec::new(), summary: IndexSummary::empty(offset, head) }
    }

    pub(in crate::audit) fn add(&mut self, line: IndexedLine) {
        self.postings.extend(line.subject.map(|subject| (subject, line.offset)));
        let (first, last) = self.summary.times;
        self.summary = IndexSummary {
            from: self.summary.from,
            to: line.end,
            lines: self.summary.lines + 1,
            head: line.head,
            times: (first.min(line.time), last.max(line.time)),
        };
    }

    pub(in crate::audit) fn summary(&self) -> IndexSummary {
        self.summary
    }

    /// Returns the postings in the order of an index file.
    pub(in crate::audit) fn sorted(&self) -> Vec<Posting> {
        let mut postings = self.postings.clone();
        postings.sort_unstable();
        postings
    }

    /// Appends the offsets of the lines about a subject to `offsets`, in ascending order.
    pub(in crate::audit) fn find(&self, subject: u64, offsets: &mut Vec<u64>) {
        offsets.extend(self.postings.iter().filter(|(found, _)| *found == subject).map(|(_, offset)| *offset));
    }
}
