//! A chunk: rows that share a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::columns::Row;
use parking_lot::Mutex;

/// Number of rows of a chunk, 256 KiB. A copy of it takes some tens of microseconds, and commits to it wait so long.
pub(super) const CHUNK_ROWS: usize = 4096;

/// Rows that share a lock.
pub(super) struct Chunk(Mutex<ChunkRows>);

struct ChunkRows {
    rows: Box<[Row]>,
    /// The last snapshot that has read the rows, or that `kept` was made for.
    snapshot: u64,
    /// The rows as they were when that snapshot began, if they have changed before it has read them.
    kept: Option<Box<[Row]>>,
}

impl Default for Chunk {
    fn default() -> Self {
        let rows = vec![Row::EMPTY; CHUNK_ROWS].into_boxed_slice();
        Self(Mutex::new(ChunkRows { rows, snapshot: 0, kept: None }))
    }
}

impl Chunk {
    /// Changes the row at a place. The rows are kept first for the `running` snapshot, if there is one and it has not read
    /// them yet.
    pub(super) fn change<R>(&self, place: usize, running: &AtomicU64, change: impl FnOnce(&mut Row) -> R) -> R {
        let mut chunk = self.0.lock();
        let number = running.load(Ordering::Acquire);
        if number != 0 && number != chunk.snapshot {
            chunk.kept = Some(chunk.rows.clone());
            chunk.snapshot = number;
        }
        change(&mut chunk.rows[place])
    }

    /// Returns a copy of the row at a place.
    pub(super) fn row(&self, place: usize) -> Row {
        self.0.lock().rows[place]
    }

    /// Hands the rows as they are now to `read`, under the lock.
    pub(super) fn read<R>(&self, read: impl FnOnce(&[Row]) -> R) -> R {
        read(&self.0.lock().rows)
    }

    /// Hands the rows as they were when a snapshot began to `read`, once for each snapshot. Rows that have not changed since
    /// are copied to `copy` first, and the lock is held for that copy only: commits do not wait for `read`.
    pub(super) fn read_as_of(&self, snapshot: u64, copy: &mut Vec<Row>, read: impl FnOnce(&[Row])) {
        let mut chunk = self.0.lock();
        if chunk.snapshot == snapshot {
            let kept = chunk.kept.take();
            drop(chunk);
            if let Some(kept) = kept {
                read(&kept);
            }
        } else {
            chunk.snapshot = snapshot;
            copy.clear();
            copy.extend_from_slice(&chunk.rows);
            drop(chunk);
            read(copy);
        }
    }

    /// Drops what was kept for a snapshot that has not read it.
    pub(super) fn forget_kept(&self) {
        let _kept = self.0.lock().kept.take();
    }
}
