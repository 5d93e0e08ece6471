//! A set of users, by their rows.

use domain::port::journal::RowId;

/// A set of rows: a bit for each number up to the greatest one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowSet(Vec<u64>);

impl RowSet {
    /// Returns whether a row is in the set.
    pub(crate) fn has(&self, row: RowId) -> bool {
        let (word, bit) = place(row);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Returns the rows in the set, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = RowId> {
        let words = (0..).step_by(64).zip(&self.0);
        words.flat_map(|(first, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| RowId(first + bit))
        })
    }
}

impl FromIterator<RowId> for RowSet {
    fn from_iter<I: IntoIterator<Item = RowId>>(rows: I) -> Self {
        let mut words: Vec<u64> = Vec::new();
        for row in rows {
            let (word, bit) = place(row);
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= bit;
        }
        Self(words)
    }
}

fn place(row: RowId) -> (usize, u64) {
    (row.0 as usize / 64, 1 << (row.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_rows_that_were_put_in_and_no_others() {
        let rows = [0, 63, 64, 1000];
        let set: RowSet = rows.into_iter().map(RowId).collect();
        for row in 0..2000 {
            assert_eq!(set.has(RowId(row)), rows.contains(&row), "{row}");
        }
        assert!(set.iter().eq(rows.into_iter().map(RowId)));
        assert!(!RowSet::default().has(RowId(0)) && !set.has(RowId(u32::MAX)));
    }
}
