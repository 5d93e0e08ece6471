//! The rows of an export.

use domain::columns::{Dictionaries, Row};
use domain::export::{ExportFilter, coarse_count};
use domain::port::journal::RowId;
use rayon::prelude::*;

use super::filter::RowFilter;
use super::job_context::{JobContext, JobEnd};
use crate::columns::ColumnStore;

/// Rows that meet a filter or one of some others, as they were at one moment, and the words of their codes.
pub(super) struct ExportRows {
    /// The row of each user, ascending.
    pub(super) ids: Vec<RowId>,
    /// What the columns held of each.
    pub(super) rows: Vec<Row>,
    /// Whether each has left since: no longer takes part, or was erased.
    has_left: Vec<bool>,
    pub(super) dictionaries: Dictionaries,
}

/// Bytes of memory that a job takes for each row, about: the row, its codes, its class and its pseudonym, while it is sorted.
const BYTES_PER_ROW: u64 = 250;

impl ExportRows {
    /// Copies the rows that meet one of the filters.
    pub(super) fn collect(
        columns: &ColumnStore,
        filters: &[&ExportFilter],
        job: &JobContext<'_>,
    ) -> Result<Self, JobEnd> {
        // After a start, jobs that have waited go on waiting until everybody has a row.
        while !columns.is_ready() {
            job.pause()?;
        }
        let (mut ids, mut copied) = (Vec::new(), Vec::new());
        let known = columns.dictionaries();
        // The words of a filter are known before the first row that has them.
        let filters: Vec<RowFilter> = filters.iter().filter_map(|filter| RowFilter::new(filter, &known)).collect();
        let snapshot = loop {
            // One reader at a time takes a snapshot, for milliseconds.
            match columns.snapshot() {
                Some(snapshot) => break snapshot,
                None => job.pause()?,
            }
        };
        // Taken after the snapshot began: whoever is withheld later is found before the file is complete.
        let withheld = columns.withheld();
        let (limit, mut scanned) = ((job.memory_bytes() / BYTES_PER_ROW) as usize, 0);
        snapshot.visit(|first, rows| {
            let matching = (first.0..).zip(rows).filter(|(_, row)| filters.iter().any(|filter| filter.accepts(row)));
            let matching = matching.filter(|(id, _)| withheld.is_empty() || !withheld.contains(&RowId(*id)));
            for (id, row) in matching.take((limit + 1).saturating_sub(copied.len())) {
                ids.push(RowId(id));
                copied.push(*row);
            }
            scanned += rows.iter().filter(|row| row.is_present()).count() as u64;
            // The status shows it, and an exact number would say whether somebody has registered meanwhile.
            job.scanned(coarse_count(scanned));
        });
        if copied.len() > limit {
            return Err(JobEnd::Failed(
                "there are more people than `export.memory_bytes` allows: filter the export, or raise the setting",
            ));
        }
        job.check_cancelled()?;
        // The newer dictionaries have the codes that came up meanwhile, too.
        Ok(Self { has_left: vec![false; ids.len()], ids, rows: copied, dictionaries: columns.dictionaries() })
    }

    /// Returns the positions of all rows.
    pub(super) fn positions(&self) -> Vec<u32> {
        (0..self.rows.len() as u32).collect()
    }

    /// Returns the positions of the rows that meet a filter and have not left, ascending.
    pub(super) fn select(&self, filter: &ExportFilter) -> Vec<u32> {
        let Some(filter) = RowFilter::new(filter, &self.dictionaries) else { return Vec::new() };
        let selected = (0..).zip(&self.rows).filter(|(position, row)| !self.has_left(*position) && filter.accepts(row));
        selected.map(|(position, _)| position).collect()
    }

    /// Notes which users have left. One that has left stays so, also if the user takes part again. Returns whether anybody has
    /// left since the last call.
    pub(super) fn note_left(&mut self, columns: &ColumnStore) -> bool {
        let rows = self.has_left.par_iter_mut().zip(&self.ids).zip(&self.rows);
        let leaves = rows.map(|((has_left, id), row)| {
            let leaves = !*has_left && !columns.is_still_opted_in(*id, row.version().generation());
            *has_left |= leaves;
            leaves
        });
        leaves.reduce(|| false, |one, other| one | other)
    }

    /// Returns whether the user of a row has left, as [`Self::note_left`] has found last.
    pub(super) fn has_left(&self, position: u32) -> bool {
        self.has_left[position as usize]
    }

    /// Removes the rows of users who have left, as [`Self::note_left`] has found last.
    pub(super) fn remove_left(&mut self) {
        let Self { ids, rows, has_left, .. } = self;
        let mut leaves = has_left.iter();
        ids.retain(|_| leaves.next() == Some(&false));
        let mut leaves = has_left.iter();
        rows.retain(|_| leaves.next() == Some(&false));
        has_left.retain(|leaves| !leaves);
    }
}
