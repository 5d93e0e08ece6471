//! Levels of hierarchies, applied while keys are packed.

use crate::{KernelError, Packing};

/// A level of a column's hierarchy: what each code of the column is generalised to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The generalised code of each code.
    lookup: Vec<u32>,
    /// Number of generalised codes.
    cardinality: u32,
}

impl Level {
    /// Returns the level with these generalised codes, which are below `cardinality`.
    ///
    /// # Errors
    /// [`KernelError::LookupOutOfRange`] when one is not.
    pub fn new(lookup: Vec<u32>, cardinality: u32) -> Result<Self, KernelError> {
        match lookup.iter().position(|&value| value >= cardinality) {
            Some(code) => Err(KernelError::LookupOutOfRange { code, value: lookup[code], cardinality }),
            None => Ok(Self { lookup, cardinality }),
        }
    }

    /// Returns the level that leaves all codes below `cardinality` as they are.
    #[must_use]
    pub fn identity(cardinality: u32) -> Self {
        Self { lookup: (0..cardinality).collect(), cardinality }
    }

    /// Returns the level that makes all codes below `cardinality` the same, code 0.
    #[must_use]
    pub fn any(cardinality: u32) -> Self {
        Self { lookup: vec![0; cardinality as usize], cardinality: 1 }
    }

    /// Returns the generalised code of each code.
    #[must_use]
    pub fn lookup(&self) -> &[u32] {
        &self.lookup
    }
}

/// One level for each quasi-identifier, and the packing of their generalised codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generalisation {
    levels: Vec<Level>,
    packing: Packing,
}

/// The first code without an entry in its column's level: least column, then least row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BadCode {
    pub(crate) column: usize,
    pub(crate) row: usize,
}

impl Generalisation {
    /// Returns the generalisation with these levels, one per column.
    ///
    /// # Errors
    /// [`KernelError::KeyTooWide`] when the generalised codes need more than 64 bits.
    pub fn new(levels: Vec<Level>) -> Result<Self, KernelError> {
        let cardinalities: Vec<u32> = levels.iter().map(|level| level.cardinality).collect();
        Ok(Self { packing: Packing::new(&cardinalities)?, levels })
    }

    /// Returns the levels.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Returns how generalised codes share the bits of a key.
    #[must_use]
    pub fn packing(&self) -> &Packing {
        &self.packing
    }

    /// Checks the number and lengths of columns and returns their number of rows.
    pub(crate) fn check(&self, columns: &[&[u32]]) -> Result<usize, KernelError> {
        if columns.len() != self.levels.len() {
            return Err(KernelError::ColumnCount { expected: self.levels.len(), given: columns.len() });
        }
        let rows = columns.first().map_or(0, |column| column.len());
        crate::error::check_rows(rows)?;
        for column in columns {
            crate::error::check_length(rows, column.len())?;
        }
        Ok(rows)
    }

    /// Packs the rows from `first` on into `keys`.
    pub(crate) fn pack(&self, columns: &[&[u32]], first: usize, keys: &mut [u64]) -> Result<(), BadCode> {
        keys.fill(0);
        for ((column, codes), (level, bits)) in
            columns.iter().enumerate().zip(self.levels.iter().zip(self.packing.widths()))
        {
            let codes = &codes[first..first + keys.len()];
            let greatest = codes.iter().max().copied().unwrap_or_default();
            if greatest as usize >= level.lookup.len() && !codes.is_empty() {
                let row = codes.iter().position(|&code| code as usize >= level.lookup.len()).unwrap_or_default();
                return Err(BadCode { column, row: first + row });
            }
            for (key, &code) in keys.iter_mut().zip(codes) {
                *key = (*key << bits) | u64::from(level.lookup[code as usize]);
            }
        }
        Ok(())
    }

    /// Returns the first code without an entry among some rows: least column, then least row.
    pub(crate) fn find_bad(&self, columns: &[&[u32]], first: usize, rows: usize) -> Option<BadCode> {
        columns.iter().zip(&self.levels).enumerate().find_map(|(column, (codes, level))| {
            let is_bad = |&code: &u32| code as usize >= level.lookup.len();
            let row = codes[first..first + rows].iter().position(is_bad)?;
            Some(BadCode { column, row: first + row })
        })
    }

    /// Returns the error of a code without an entry.
    pub(crate) fn error(&self, columns: &[&[u32]], bad: BadCode) -> KernelError {
        let BadCode { column, row } = bad;
        // Fits: codes have 32 bits, and longer levels are never indexed beyond.
        let cardinality = u32::try_from(self.levels[column].lookup.len()).unwrap_or(u32::MAX);
        KernelError::CodeOutOfRange { column, row, code: columns[column][row], cardinality }
    }
}
