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
    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no class, because there was no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many rows are in classes of fewer than `k`: what an export with this k would have to suppress.
    #[must_use]
    pub fn rows_below(&self, k: u32) -> u64 {
        self.sizes.iter().filter(|&&size| size < k).map(|&size| u64::from(size)).sum()
    }
}
