//! A snapshot: all rows as they were at one moment, read chunk by chunk while commits go on.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::columns::Row;
use domain::port::journal::RowId;
use parking_lot::{Mutex, MutexGuard};

use super::chunk::CHUNK_ROWS;
use super::chunk_table::ChunkTable;

/// Counts snapshots, of which one at a time is taken.
#[derive(Default)]
pub(super) struct Snapshots {
    /// The number of the snapshot that is being taken; 0 if there is none.
    running: AtomicU64,
    /// The number of the last snapshot. Locked while one is being taken.
    last: Mutex<u64>,
}

impl Snapshots {
    /// Returns the number of the snapshot that is being taken, for commits; 0 if there is none.
    pub(super) fn running(&self) -> &AtomicU64 {
        &self.running
    }

    /// Begins a snapshot. `None` while another one is being taken.
    pub(super) fn begin<'a>(&'a self, chunks: &'a ChunkTable) -> Option<ColumnSnapshot<'a>> {
        let mut last = self.last.try_lock()?;
        *last += 1;
        let number = *last;
        self.running.store(number, Ordering::SeqCst);
        Some(ColumnSnapshot { chunks, running: &self.running, number, _only: last })
    }
}

/// All rows as they were when it began.
///
/// A commit that is about to change a chunk which the snapshot has not read keeps a copy of the chunk first. So the memory
/// of a snapshot is bounded by that of the rows, and no commit waits longer than the copy of one chunk takes.
pub struct ColumnSnapshot<'a> {
    chunks: &'a ChunkTable,
    running: &'a AtomicU64,
    number: u64,
    _only: MutexGuard<'a, u64>,
}

impl ColumnSnapshot<'_> {
    /// Hands the rows to `visit`, in their order: the first row of a run, and the rows of the run. Some of them are empty.
    /// No lock of rows is held while `visit` runs, so no commit waits for it.
    pub fn visit(self, mut visit: impl FnMut(RowId, &[Row])) {
        let mut copy = Vec::with_capacity(CHUNK_ROWS);
        for (first, chunk) in self.chunks.iter() {
            chunk.read_as_of(self.number, &mut copy, |rows| visit(first, rows));
        }
    }
}

impl Drop for ColumnSnapshot<'_> {
    fn drop(&mut self) {
        self.running.store(0, Ordering::SeqCst);
        // A chunk that was added after the visit, or a visit that panicked.
        self.chunks.iter().for_each(|(_, chunk)| chunk.forget_kept());
    }
}
