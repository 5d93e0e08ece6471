//! The rows of all users.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::columns::{Dictionaries, INTEREST, Row, Version};
use domain::erasure::Tombstone;
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::port::store::StoreError;
use domain::state::UserState;
use domain::table::LeafSet;
use metrics::Gauge;

use super::chunk_table::ChunkTable;
use super::saved;
use super::shared_dictionaries::SharedDictionaries;
use super::snapshot::{ColumnSnapshot, Snapshots};
use super::withheld::WithheldRows;

/// The rows of all users, which follow every commit.
///
/// Once [`Self::is_ready`], every user that has a profile has a row, and the row is that of the user's committed head.
pub struct ColumnStore {
    chunks: ChunkTable,
    pub(super) dictionaries: SharedDictionaries,
    snapshots: Snapshots,
    withheld: WithheldRows,
    is_ready: AtomicBool,
    ready: Gauge,
}

impl ColumnStore {
    /// Returns a store without rows. `ready` is the gauge that shows whether it is filled.
    pub(crate) fn new(dictionaries: Dictionaries, ready: Gauge) -> Self {
        ready.set(0.0);
        Self {
            chunks: ChunkTable::default(),
            dictionaries: SharedDictionaries::new(dictionaries),
            snapshots: Snapshots::default(),
            withheld: WithheldRows::default(),
            is_ready: AtomicBool::new(false),
            ready,
        }
    }

    /// Returns whether all users have their rows. Until then, rows are missing.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Release);
        self.ready.set(1.0);
    }

    /// Returns a copy of a row as it is now; an empty one if there is no such user. A job that writes rows of a snapshot
    /// asks here for the opt-in and the generation, which may have changed since.
    pub fn row(&self, row: RowId) -> Row {
        self.chunks.get(row).map_or(Row::EMPTY, |(chunk, place)| chunk.row(place))
    }

    /// Returns whether the user of a row still takes part in analytics, and was not erased since `generation`.
    pub fn is_still_opted_in(&self, row: RowId, generation: u32) -> bool {
        if self.withheld.has(row) {
            return false;
        }
        let row = self.row(row);
        row.is_present() && row.is_opted_in() && row.version().generation() == generation
    }

    /// Withholds a row from exports until it is released. It goes on following commits.
    pub fn withhold(&self, row: RowId) {
        self.withheld.add(row);
    }

    /// Releases a row that was withheld.
    pub fn release(&self, row: RowId) {
        self.withheld.remove(row);
    }

    /// Returns the rows that are withheld.
    pub(crate) fn withheld(&self) -> Arc<BTreeSet<RowId>> {
        self.withheld.load()
    }

    /// Returns a copy of the dictionaries. They have every code of rows that were read before.
    pub fn dictionaries(&self) -> Dictionaries {
        self.dictionaries.copy()
    }

    /// Begins a snapshot: all rows as they are at this moment. `None` while another one is being taken.
    pub fn snapshot(&self) -> Option<ColumnSnapshot<'_>> {
        self.snapshots.begin(&self.chunks)
    }

    /// Empties the row of a user who was erased. No state of the generation or of an earlier one fills it again; `sequence`
    /// is that of the erasure.
    pub fn erase(&self, row: RowId, generation: u32, sequence: u64) {
        self.put(row, Row::erased(Version::new(generation, sequence)));
    }

    /// Hands the saved form of all rows and dictionaries to `save`, piece by piece.
    pub(crate) fn pieces(&self, save: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        saved::pieces(&self.chunks, &self.dictionaries, save)
    }

    /// Puts a whole row in place of one of the same version or an earlier one.
    pub(super) fn put(&self, row: RowId, newer: Row) {
        let (chunk, place) = self.chunks.get_or_add(row);
        chunk.change(place, self.snapshots.running(), |row| {
            if newer.version() >= row.version() {
                *row = newer;
            }
        });
    }
}

/// Returns the row of an erased user.
pub(super) fn erased_row(tombstone: &Tombstone) -> Row {
    Row::erased(Version::new(tombstone.generation, tombstone.last_sequence))
}

impl Default for ColumnStore {
    /// Returns a store without rows, which no gauge shows.
    fn default() -> Self {
        Self::new(Dictionaries::default(), Gauge::noop())
    }
}

impl Projection for ColumnStore {
    fn interest(&self) -> LeafSet {
        INTEREST
    }

    fn committed(&self, row: RowId, state: &UserState, changed: LeafSet) {
        let (chunk, place) = self.chunks.get_or_add(row);
        let is_missing = chunk.change(place, self.snapshots.running(), |row| {
            if row.is_present() {
                row.advance(state, changed, &self.dictionaries);
            }
            !row.is_present()
        });
        if is_missing {
            // Outside of the lock, since all sections of the profile are read. No other thread has commits of this user.
            self.loaded(row, state);
        }
    }

    fn loaded(&self, row: RowId, state: &UserState) {
        self.put(row, Row::from_state(state, &self.dictionaries));
    }

    fn erased(&self, row: RowId, tombstone: &Tombstone) {
        self.erase(row, tombstone.generation, tombstone.last_sequence);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_snapshot_is_of_one_moment_while_rows_change() {
        // Far apart, in the order in which a snapshot reads them.
        let (first, last) = (RowId(1), RowId(9 * 4096));
        let (columns, stop) = (ColumnStore::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for sequence in 1.. {
                    columns.erase(last, 1, sequence);
                    columns.erase(first, 1, sequence);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..500 {
                let mut seen = [None; 2];
                columns.snapshot().expect("one at a time").visit(|start, rows| {
                    for (place, row) in [first, last].into_iter().enumerate() {
                        if let Some(row) = row.0.checked_sub(start.0).and_then(|at| rows.get(at as usize)) {
                            seen[place] = Some(row.version().sequence());
                        }
                    }
                    // A commit comes in between.
                    thread::yield_now();
                });
                let [first, last] = seen.map(Option::unwrap_or_default);
                assert!(first == last || first + 1 == last, "{first} and {last}");
            }
            stop.store(true, Ordering::Relaxed);
        });
        let snapshot = columns.snapshot().expect("the others have ended");
        assert!(columns.snapshot().is_none(), "one at a time");
        drop(snapshot);
        assert!(columns.snapshot().is_some());
    }

    #[test]
    fn an_older_row_replaces_none() {
        let columns = ColumnStore::default();
        let row = RowId(5);
        for (generation, sequence, kept) in
            [(1, 4, (1, 4)), (1, 3, (1, 4)), (1, 4, (1, 4)), (2, 1, (2, 1)), (1, 9, (2, 1))]
        {
            columns.erase(row, generation, sequence);
            assert_eq!(columns.row(row).version(), Version::new(kept.0, kept.1));
        }
        assert!(!columns.is_still_opted_in(row, 2) && !columns.row(row).is_present());
        assert_eq!(columns.row(RowId(6)), Row::EMPTY);
        assert_eq!(columns.row(RowId(u32::MAX)), Row::EMPTY);
    }
}
