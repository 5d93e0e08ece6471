//! Rows that no export reads for now: their users' profiles are hidden.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::port::journal::RowId;

/// The rows that are withheld. They go on following commits, so that they are current when they are released.
#[derive(Debug, Default)]
pub(super) struct WithheldRows(ArcSwap<BTreeSet<RowId>>);

impl WithheldRows {
    pub(super) fn add(&self, row: RowId) {
        self.0.rcu(|rows| {
            let mut rows = BTreeSet::clone(rows);
            rows.insert(row);
            rows
        });
    }

    pub(super) fn remove(&self, row: RowId) {
        self.0.rcu(|rows| {
            let mut rows = BTreeSet::clone(rows);
            rows.remove(&row);
            rows
        });
    }

    /// Returns the rows as they are now.
    pub(super) fn load(&self) -> Arc<BTreeSet<RowId>> {
        self.0.load_full()
    }

    pub(super) fn has(&self, row: RowId) -> bool {
        self.0.load().contains(&row)
    }
}
