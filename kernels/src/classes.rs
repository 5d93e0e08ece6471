//! The result of a grouping.

/// Equivalence classes: rows that have the same quasi-identifiers.
///
/// Of n rows in c classes, `keys` and `sizes` have c entries and `class_of_row` has n.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classes {
    /// The quasi-identifier tuple of each class, ascending.
    pub keys: Vec<u64>,
    /// How many rows each class has; never 0, and n in sum.
    pub sizes: Vec<u32>,
    /// Which class each row is in: a position in `keys`.
    pub class_of_row: Vec<u32>,
}

impl Classes {
    /// Returns the number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there are no classes, because there were no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the number of rows in classes of fewer than `k`: what an export with this k would have to suppress.
    #[must_use]
    pub fn rows_below(&self, k: u32) -> u64 {
        self.sizes.iter().filter(|&&size| size < k).map(|&size| u64::from(size)).sum()
    }
}
