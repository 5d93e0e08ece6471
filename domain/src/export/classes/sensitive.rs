//! Sets of sensitive values as bits, so that the values of two classes are united by one operation.

/// The sensitive columns of an export have too many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sensitive columns have {0} values together, and at most 64 are counted")]
pub struct TooManySensitiveValues(pub u64);

/// The place of each sensitive column in a set of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SensitiveLayout {
    /// The first bit of each column, and all its bits.
    columns: Vec<(u32, u64)>,
}

impl SensitiveLayout {
    /// Creates the layout of columns with so many values each. A missing value counts as one of them.
    ///
    /// # Errors
    /// The columns have more than 64 values together.
    pub fn new(cardinalities: &[u32]) -> Result<Self, TooManySensitiveValues> {
        let total = cardinalities.iter().map(|count| u64::from(*count)).sum();
        if total > 64 {
            return Err(TooManySensitiveValues(total));
        }
        let mut first = 0;
        let columns = cardinalities.iter().map(|count| {
            let column = (first, bits(*count).checked_shl(first).unwrap_or(0));
            first += count;
            column
        });
        Ok(Self { columns: columns.collect() })
    }

    /// Returns the set of one row, whose codes are given by column.
    #[must_use]
    pub fn row(&self, codes: &[u32]) -> u64 {
        self.columns.iter().zip(codes).fold(0, |set, ((first, _), code)| set | 1 << (first + code))
    }

    /// Returns the set that holds one value: a code of a column, by the column's position.
    #[must_use]
    pub fn bit(&self, column: usize, code: u32) -> u64 {
        1 << (self.columns[column].0 + code)
    }

    /// Returns the least number of different values that a column has in the set; `u32::MAX` if there is no column.
    #[must_use]
    pub fn distinct(&self, set: u64) -> u32 {
        self.columns.iter().map(|(_, column)| (set & column).count_ones()).min().unwrap_or(u32::MAX)
    }
}

const fn bits(count: u32) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_with_the_fewest_values_decides() {
        let layout = SensitiveLayout::new(&[3, 60, 1]).expect("64 values");
        let set = layout.row(&[2, 59, 0]) | layout.row(&[0, 58, 0]) | layout.row(&[1, 59, 0]);
        assert_eq!(layout.distinct(set), 1, "the last column has one value");
        let layout = SensitiveLayout::new(&[3, 60]).expect("63 values");
        assert_eq!(layout.distinct(layout.row(&[2, 59]) | layout.row(&[0, 58]) | layout.row(&[1, 59])), 2);
        assert_eq!(SensitiveLayout::new(&[64]).expect("64 values").distinct(u64::MAX), 64);
        assert_eq!(SensitiveLayout::default().distinct(0), u32::MAX);
        assert_eq!(SensitiveLayout::new(&[60, 5]), Err(TooManySensitiveValues(65)));
    }
}
