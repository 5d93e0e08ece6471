//! A segment as the writer and the readers share it.

use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use super::index::{IndexBuilder, IndexFile, IndexedLine};
use super::segment_header::SegmentHeader;
use crate::disk::{DiskFile, read_full_at};

/// Bytes of the first read of a line. Most lines are shorter.
const READ_BYTES: usize = 1024;
/// Maximum number of bytes of a line. Every text in an entry is bounded far below.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// A file of entries. Only the newest of a category is open: it grows.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
    /// Offset of the first entry.
    pub(super) start: u64,
    state: RwLock<SegmentState>,
}

struct SegmentState {
    /// The index of the lines before those in `recent`, in parts.
    runs: Vec<Arc<IndexFile>>,
    /// The lines since the last part. Where they end, the durable lines end.
    recent: IndexBuilder,
}

impl Segment {
    /// Returns a segment whose lines up to those of `recent` are in `runs`.
    pub(super) fn new(
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        runs: Vec<Arc<IndexFile>>,
        recent: IndexBuilder,
    ) -> Self {
        let start = header.to_line().len() as u64;
        Self { header, file, start, state: RwLock::new(SegmentState { runs, recent }) }
    }

    /// Returns the offset after the last durable line.
    pub(super) fn end(&self) -> u64 {
        self.state.read().recent.summary().to
    }

    /// Returns the number of the last durable entry; that before the first one if there is none.
    pub(super) fn last_seq(&self) -> u64 {
        self.state.read().recent.summary().last_seq
    }

    /// Returns the earliest and the latest time of an entry. The earliest is later than the latest if there is none.
    pub(super) fn times(&self) -> (i64, i64) {
        let state = self.state.read();
        let runs = state.runs.iter().map(|run| run.summary.times);
        runs.fold(state.recent.summary().times, |(a, b), (first, last)| (a.min(first), b.max(last)))
    }

    /// Makes durable lines visible to readers.
    pub(super) fn publish(&self, lines: &[IndexedLine]) {
        let mut state = self.state.write();
        lines.iter().for_each(|line| state.recent.add(*line));
    }

    /// Returns a copy of the lines that no part of the index has.
    pub(super) fn recent(&self) -> IndexBuilder {
        self.state.read().recent.clone()
    }

    /// Returns the number of lines that no part of the index has.
    pub(super) fn recent_lines(&self) -> u64 {
        self.state.read().recent.lines()
    }

    /// Returns the parts of the index.
    pub(super) fn runs(&self) -> Vec<Arc<IndexFile>> {
        self.state.read().runs.clone()
    }

    /// Replaces the parts of the index by `runs`, which have all lines.
    pub(super) fn set_runs(&self, runs: Vec<Arc<IndexFile>>) {
        let mut state = self.state.write();
        let last = state.recent.summary();
        state.recent = IndexBuilder::new(last.to, last.last_seq, last.last_chain);
        state.runs = runs;
    }

    /// Returns the offsets of the lines that may be about a subject, in ascending order.
    pub(super) fn find(&self, subject: u64) -> io::Result<Vec<u64>> {
        let (runs, mut offsets) = (self.runs(), Vec::new());
        for run in &runs {
            run.find(subject, &mut offsets)?;
        }
        self.state.read().recent.find(subject, &mut offsets);
        // A run that was written in between has lines of `recent`, too.
        offsets.sort_unstable();
        offsets.dedup();
        Ok(offsets)
    }

    /// Reads the line at an offset, without its line break.
    pub(super) fn line(&self, offset: u64) -> io::Result<String> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let filled = read_full_at(&*self.file, &mut bytes, offset)?;
            if let Some(length) = bytes[..filled].iter().position(|byte| *byte == b'\n') {
                bytes.truncate(length);
                return String::from_utf8(bytes).map_err(io::Error::other);
            }
            if filled < bytes.len() || bytes.len() as u64 > MAX_LINE_BYTES {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.resize(bytes.len() * 4, 0);
        }
    }
}
