//! A segment as the writer, the indexer and the readers share it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::index::{IndexBuilder, IndexFile, IndexSummary, IndexedLine};
use super::segment_header::SegmentHeader;
use super::tree_head::ChainHead;
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
    /// Number of lines of a run of the index.
    run_lines: u64,
    state: RwLock<SegmentState>,
    is_removed: Mutex<bool>,
}

struct SegmentState {
    /// The runs of the index, which follow each other from the first line on. Only the indexer changes them.
    runs: Vec<Arc<IndexFile>>,
    /// The lines after the runs, in parts that are to become runs.
    full: VecDeque<Arc<IndexBuilder>>,
    /// The lines after those. Where they end, the durable lines end.
    recent: IndexBuilder,
    is_closed: bool,
}

impl SegmentState {
    /// Makes the newest lines a part that is to become a run.
    fn complete_recent(&mut self) {
        let IndexSummary { to, head, lines, .. } = self.recent.summary();
        if lines > 0 {
            let full = std::mem::replace(&mut self.recent, IndexBuilder::new(to, head));
            self.full.push_back(Arc::new(full));
        }
    }
}

impl Segment {
    /// Returns a segment whose lines are in `runs`, each of which is for `run_lines` lines or more.
    pub(super) fn new(
        header: SegmentHeader,
        file: Arc<dyn DiskFile>,
        runs: Vec<Arc<IndexFile>>,
        run_lines: u64,
    ) -> Self {
        let start = header.start();
        let (end, head) = runs.last().map_or((start, header.before()), |run| (run.summary.to, run.summary.head));
        let recent = IndexBuilder::new(end, head);
        let state = SegmentState { runs, full: VecDeque::new(), recent, is_closed: false };
        Self { header, file, start, run_lines, state: RwLock::new(state), is_removed: Mutex::new(false) }
    }

    /// Returns the offset after the last durable line.
    pub(super) fn end(&self) -> u64 {
        self.state.read().recent.summary().to
    }

    /// Returns where the chain stands after the last durable line.
    pub(super) fn head(&self) -> ChainHead {
        self.state.read().recent.summary().head
    }

    /// Returns the number of the last durable entry; that before the first one if there is none.
    pub(super) fn last_seq(&self) -> u64 {
        self.head().count
    }

    /// Returns the earliest and the latest time of an entry. The earliest is later than the latest if there is none.
    pub(super) fn times(&self) -> (i64, i64) {
        let state = self.state.read();
        let runs = state.runs.iter().map(|run| run.summary.times);
        let parts = runs.chain(state.full.iter().map(|part| part.summary().times));
        parts.fold(state.recent.summary().times, |(a, b), (first, last)| (a.min(first), b.max(last)))
    }

    /// Makes durable lines visible to readers.
    pub(super) fn publish(&self, lines: &[IndexedLine]) {
        let mut state = self.state.write();
        for line in lines {
            state.recent.add(*line);
            if state.recent.summary().lines >= self.run_lines {
                state.complete_recent();
            }
        }
    }

    /// Says that no more lines come.
    pub(super) fn close(&self) {
        let mut state = self.state.write();
        state.complete_recent();
        state.is_closed = true;
    }

    /// Returns whether no more lines come.
    pub(super) fn is_closed(&self) -> bool {
        self.state.read().is_closed
    }

    /// Returns the next lines that are to become a run.
    pub(super) fn next_run(&self) -> Option<Arc<IndexBuilder>> {
        self.state.read().full.front().cloned()
    }

    /// Returns the runs of the index.
    pub(super) fn runs(&self) -> Vec<Arc<IndexFile>> {
        self.state.read().runs.clone()
    }

    /// Adds the run of the lines that [`Self::next_run`] has returned.
    pub(super) fn add_run(&self, run: Arc<IndexFile>) {
        let mut state = self.state.write();
        state.full.pop_front();
        state.runs.push(run);
    }

    /// Replaces the last `count` runs by one that has their lines.
    pub(super) fn replace_runs(&self, count: usize, run: Arc<IndexFile>) {
        let runs = &mut self.state.write().runs;
        runs.truncate(runs.len() - count);
        runs.push(run);
    }

    /// Calls `remove` to remove the segment's files. No index is put beside them from then on.
    pub(super) fn remove(&self, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut is_removed = self.is_removed.lock();
        *is_removed = true;
        remove()
    }

    /// Calls `add` to put a file beside the segment's, unless they were removed; `None` if they were.
    pub(super) fn unless_removed<T>(&self, add: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
        let is_removed = self.is_removed.lock();
        if *is_removed { Ok(None) } else { add().map(Some) }
    }

    /// Returns the offsets of the lines that may be about a subject, in ascending order.
    pub(super) fn find(&self, subject: u64) -> io::Result<Vec<u64>> {
        let (mut recent, mut offsets) = (Vec::new(), Vec::new());
        let (runs, full) = {
            let state = self.state.read();
            state.recent.find(subject, &mut recent);
            (state.runs.clone(), state.full.clone())
        };
        for run in &runs {
            run.find(subject, &mut offsets)?;
        }
        full.iter().for_each(|part| part.find(subject, &mut offsets));
        offsets.append(&mut recent);
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
