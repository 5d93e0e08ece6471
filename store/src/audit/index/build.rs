//! Collects the postings of lines until they are written as an index file.

use super::{IndexSummary, Posting};
use crate::audit::entry_text::ChainValue;

/// The postings of the newest lines of a segment, in the order of the lines.
#[derive(Debug, Clone)]
pub(in crate::audit) struct IndexBuilder {
    postings: Vec<Posting>,
    lines: u64,
    summary: IndexSummary,
}

/// What an index needs to know about a line.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct IndexedLine {
    pub(in crate::audit) subject: Option<u64>,
    pub(in crate::audit) offset: u64,
    /// Offset after the line and its line break.
    pub(in crate::audit) end: u64,
    pub(in crate::audit) seq: u64,
    pub(in crate::audit) chain: ChainValue,
    pub(in crate::audit) time: i64,
}

impl IndexBuilder {
    /// Starts at a place in a segment, after the entry number `seq` with the chain value `chain`.
    pub(in crate::audit) fn new(offset: u64, seq: u64, chain: ChainValue) -> Self {
        let summary =
            IndexSummary { from: offset, to: offset, last_seq: seq, last_chain: chain, times: (i64::MAX, i64::MIN) };
        Self { postings: Vec::new(), lines: 0, summary }
    }

    pub(in crate::audit) fn add(&mut self, line: IndexedLine) {
        self.postings.extend(line.subject.map(|subject| (subject, line.offset)));
        self.lines += 1;
        let (first, last) = self.summary.times;
        self.summary = IndexSummary {
            from: self.summary.from,
            to: line.end,
            last_seq: line.seq,
            last_chain: line.chain,
            times: (first.min(line.time), last.max(line.time)),
        };
    }

    /// Returns the number of lines since the start.
    pub(in crate::audit) fn lines(&self) -> u64 {
        self.lines
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

/// Returns the summary and the sorted postings of consecutive parts of a segment.
pub(in crate::audit) fn merge(parts: Vec<(IndexSummary, Vec<Posting>)>) -> Option<(IndexSummary, Vec<Posting>)> {
    let (first, last) = (parts.first()?.0, parts.last()?.0);
    let times = parts.iter().map(|(summary, _)| summary.times);
    let times = times.fold((i64::MAX, i64::MIN), |(a, b), (first, last)| (a.min(first), b.max(last)));
    let mut postings: Vec<Posting> = parts.into_iter().flat_map(|(_, postings)| postings).collect();
    postings.sort_unstable();
    Some((IndexSummary { from: first.from, times, ..last }, postings))
}
