//! Quasi-identifier tuples as 64-bit keys.

use crate::KernelError;

/// How the codes of several columns share the bits of one key: the first column in the highest bits, so that keys
/// sort as the tuples do. A column of `n` codes takes as many bits as `n - 1` needs.
///
/// Eight quasi-identifiers of a civic profile take about 35 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Entries of each column's dictionary.
    cardinalities: Vec<u32>,
}

impl Packing {
    /// Plans keys for columns whose dictionaries have this many entries.
    ///
    /// # Errors
    /// [`KernelError::KeyTooWide`] when the columns need more than 64 bits.
    pub fn new(cardinalities: &[u32]) -> Result<Self, KernelError> {
        let bits = cardinalities.iter().map(|&cardinality| width(cardinality)).sum();
        if bits > u64::BITS {
            return Err(KernelError::KeyTooWide { bits });
        }
        Ok(Self { cardinalities: cardinalities.to_vec() })
    }

    /// Returns how many bits each column takes.
    pub(crate) fn widths(&self) -> impl Iterator<Item = u32> + '_ {
        self.cardinalities.iter().map(|&cardinality| width(cardinality))
    }

    /// Packs columns of n rows into n keys.
    ///
    /// # Errors
    /// When the number of columns or a column's length differs, or a code is outside its dictionary.
    pub fn pack(&self, columns: &[&[u32]]) -> Result<Vec<u64>, KernelError> {
        if columns.len() != self.cardinalities.len() {
            return Err(KernelError::ColumnCount { expected: self.cardinalities.len(), given: columns.len() });
        }
        let rows = columns.first().map_or(0, |column| column.len());
        let mut keys = vec![0_u64; rows];
        for (number, (&codes, &cardinality)) in columns.iter().zip(&self.cardinalities).enumerate() {
            if codes.len() != rows {
                return Err(KernelError::ColumnLength { expected: rows, given: codes.len() });
            }
            // The greatest code tells whether all are in range: one branch for the column instead of one per row.
            if codes.iter().max().is_some_and(|&greatest| greatest >= cardinality) {
                return Err(out_of_range(number, codes, cardinality));
            }
            let bits = width(cardinality);
            for (key, &code) in keys.iter_mut().zip(codes) {
                *key = (*key << bits) | u64::from(code);
            }
        }
        Ok(keys)
    }

    /// Returns the codes of one key, one per column.
    #[must_use]
    pub fn unpack(&self, key: u64) -> Vec<u32> {
        let mut rest = u128::from(key);
        let mut codes: Vec<u32> = self
            .cardinalities
            .iter()
            .rev()
            .map(|&cardinality| {
                let bits = width(cardinality);
                // Fits: a width is at most 32 bits.
                let code = (rest & ((1 << bits) - 1)) as u32;
                rest >>= bits;
                code
            })
            .collect();
        codes.reverse();
        codes
    }
}

/// Bits that the codes `0..cardinality` need.
fn width(cardinality: u32) -> u32 {
    u32::BITS - cardinality.saturating_sub(1).leading_zeros()
}

#[cold]
fn out_of_range(column: usize, codes: &[u32], cardinality: u32) -> KernelError {
    let row = codes.iter().position(|&code| code >= cardinality).unwrap_or_default();
    KernelError::CodeOutOfRange { column, row, code: codes[row], cardinality }
}
