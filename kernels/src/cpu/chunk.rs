//! The groups of one chunk of rows.

use super::table::Groups;
use crate::generalisation::BadCode;
use crate::row_classes::ValueSets;
use crate::{Generalisation, SensitiveColumn};

/// Fewest and most rows of a chunk. A large one finds each class once; tables of more rows would leave the processor's cache.
const FEWEST_ROWS: usize = 1 << 14;
const MOST_ROWS: usize = 1 << 17;

/// Rows whose keys are packed at once, and after which a chunk decides whether a table pays.
const ROWS_PER_STEP: usize = 1 << 12;

/// Returns how many rows the chunks of a batch have: a few chunks for each thread.
pub(super) fn rows_per_chunk(rows: usize) -> usize {
    (rows / (4 * rayon::current_num_threads())).clamp(FEWEST_ROWS, MOST_ROWS)
}

/// The groups of a chunk, in the order of their first rows. Several can have the same key.
pub(super) struct Chunk {
    pub(super) keys: Vec<u64>,
    pub(super) sizes: Vec<u32>,
    /// The least row of each group.
    pub(super) first_rows: Vec<u32>,
    /// The values of each group, for each sensitive column.
    pub(super) values: Vec<ValueSets>,
    /// The group of each row of the chunk.
    pub(super) group_of_row: Vec<u32>,
    /// The first sensitive code that is out of range.
    pub(super) bad_value: Option<BadCode>,
}

impl Chunk {
    /// Groups `rows` rows, of which the first is row `first`. `pack` writes the keys of the rows from a row on.
    fn new<E>(first: usize, rows: usize, pack: impl Fn(usize, &mut [u64]) -> Result<(), E>) -> Result<Self, E> {
        let mut groups = Groups::new();
        let (mut first_rows, mut group_of_row) = (Vec::new(), Vec::with_capacity(rows));
        let mut keys = [0; ROWS_PER_STEP];
        for start in (first..first + rows).step_by(ROWS_PER_STEP) {
            let keys = &mut keys[..ROWS_PER_STEP.min(first + rows - start)];
            pack(start, keys)?;
            // Where nearly all rows differ, a table finds nothing, and the sort that follows groups the rest.
            let counts = start == first || groups.keys.len() * 4 < group_of_row.len() * 3;
            for (row, &mut key) in (start..).zip(keys) {
                let group = if counts { groups.count(key) } else { groups.append(key) };
                if group as usize == first_rows.len() {
                    // Fits: the number of rows does.
                    first_rows.push(row as u32);
                }
                group_of_row.push(group);
            }
        }
        let Groups { keys, sizes, .. } = groups;
        Ok(Self { keys, sizes, first_rows, values: Vec::new(), group_of_row, bad_value: None })
    }

    /// Groups keys, of which the first is that of row `first`.
    pub(super) fn of_keys(keys: &[u64], first: usize) -> Self {
        let copied: Result<Self, std::convert::Infallible> = Self::new(first, keys.len(), |start, out| {
            out.copy_from_slice(&keys[start - first..][..out.len()]);
            Ok(())
        });
        copied.unwrap_or_else(|never| match never {})
    }

    /// Packs and groups the rows from `first` on, and collects their sensitive values.
    pub(super) fn of_rows(
        generalisation: &Generalisation,
        columns: &[&[u32]],
        sensitive: &[SensitiveColumn<'_>],
        first: usize,
        rows: usize,
    ) -> Result<Self, BadCode> {
        let mut chunk = match Self::new(first, rows, |start, keys| generalisation.pack(columns, start, keys)) {
            Ok(chunk) => chunk,
            // The first step that fails is not that of the first wrong column.
            Err(bad) => return Err(generalisation.find_bad(columns, first, rows).unwrap_or(bad)),
        };
        for (column, values) in sensitive.iter().enumerate() {
            match chunk.sets(values, first) {
                Ok(sets) => chunk.values.push(sets),
                Err(row) => {
                    chunk.bad_value = Some(BadCode { column, row });
                    break;
                }
            }
        }
        Ok(chunk)
    }

    /// Collects the values of each group, or returns the first row whose code is out of range.
    fn sets(&self, column: &SensitiveColumn<'_>, first: usize) -> Result<ValueSets, usize> {
        let mut sets = ValueSets::new(column.words(), self.keys.len());
        for ((row, &code), &group) in (first..).zip(&column.codes[first..]).zip(&self.group_of_row) {
            if code >= column.cardinality {
                return Err(row);
            }
            sets.insert(group as usize, code);
        }
        Ok(sets)
    }
}
