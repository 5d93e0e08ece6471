//! The stored form of a row.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  version: sequence in the lower 44 bits, and generation; 0 for a row that was never filled
//!      8       8  cohort tags, a bit each
//!     16       4  potential annual benefit in rupees
//!     20       4  quasi-identifiers, as in `quasi`
//!     24      20  schemes: code, and in the lowest 3 bits the status
//!     44       2  district
//!     46       1  flags: 1 present, 2 opted in, 4 more schemes, 8 other tags
//!     47       1  completeness
//!     48       5  risk scores in hundredths
//!     53       1  total eligible
//!     54       1  total applied
//!     55       1  total active
//!     56       1  deadlines completed in the last 90 days
//!     57       1  statuses, a bit each
//!     58       6  reserved, 0
//! ```

use super::dictionary::ReadFault;
use super::quasi::Quasi;
use super::row::{INTEREST, ROW_BYTES, Risk, Row, Version};
use super::schemes::{SCHEMES, STATUSES, SchemeColumn};
use crate::table::ValueType;

/// The format of rows. It counts up when their fields change.
const FORMAT: u32 = 1;

impl Row {
    /// Returns the stored form.
    pub fn to_bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.version.0.to_le_bytes());
        put(8, &self.cohort_tags.to_le_bytes());
        put(16, &self.potential_annual_benefit.to_le_bytes());
        put(20, &self.quasi.to_le_bytes());
        for (place, scheme) in self.schemes.iter().enumerate() {
            put(24 + 2 * place, &scheme.0.to_le_bytes());
        }
        put(44, &self.district.to_le_bytes());
        put(46, &[self.flags, self.completeness_pct]);
        put(48, &self.risks);
        put(53, &[self.total_eligible, self.total_applied, self.total_active, self.completed_last_90d, self.statuses]);
        bytes
    }

    /// Returns the row of a stored form.
    ///
    /// # Errors
    /// A reserved field is in use.
    pub fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Result<Self, ReadFault> {
        let [total_eligible, total_applied, total_active, completed_last_90d, statuses] = array(bytes, 53);
        let [flags, completeness_pct] = array(bytes, 46);
        if array(bytes, 58) != [0; 6] {
            return Err(ReadFault);
        }
        let mut schemes = [SchemeColumn::default(); SCHEMES];
        for (place, scheme) in schemes.iter_mut().enumerate() {
            *scheme = SchemeColumn(u16::from_le_bytes(array(bytes, 24 + 2 * place)));
        }
        Ok(Self {
            version: Version(u64::from_le_bytes(array(bytes, 0))),
            cohort_tags: u64::from_le_bytes(array(bytes, 8)),
            potential_annual_benefit: u32::from_le_bytes(array(bytes, 16)),
            quasi: u32::from_le_bytes(array(bytes, 20)),
            schemes,
            district: u16::from_le_bytes(array(bytes, 44)),
            flags,
            completeness_pct,
            risks: array(bytes, 48),
            total_eligible,
            total_applied,
            total_active,
            completed_last_90d,
            statuses,
            ..Self::EMPTY
        })
    }
}

fn array<const N: usize>(bytes: &[u8; ROW_BYTES], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// Returns a number that differs where stored rows mean something else: their format, the leaves that they show, and the
/// words whose places are codes.
pub fn layout() -> u32 {
    let quasi = Quasi::ALL.into_iter().map(|quasi| quasi.leaf());
    let risks = Risk::ALL.into_iter().map(Risk::leaf);
    let leaves = INTEREST.iter().chain(quasi).chain(risks);
    let words = leaves.flat_map(|leaf| match leaf.field().value {
        ValueType::Enum(words) => [&[leaf.field().path], words].concat(),
        _ => vec![leaf.field().path],
    });
    // FNV-1a: it compares layouts, and guards against nobody.
    words.chain(STATUSES).fold(0x811c_9dc5 ^ FORMAT, |hash, word| {
        let bytes = word.bytes().chain([0]);
        bytes.fold(hash, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_bytes_that_the_table_above_shows() {
        let mut row = Row {
            version: Version::new(2, 3),
            cohort_tags: 4,
            potential_annual_benefit: 5,
            quasi: 6,
            district: 7,
            flags: 8,
            completeness_pct: 9,
            risks: [10, 11, 12, 13, 14],
            total_eligible: 15,
            total_applied: 16,
            total_active: 17,
            completed_last_90d: 18,
            statuses: 19,
            ..Row::EMPTY
        };
        row.schemes[9] = SchemeColumn(0x1415);
        let bytes = [
            &[3, 0, 0, 0, 0, 0x20, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0][..],
            &[0; 18],
            &[0x15, 0x14, 7, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
            &[0; 6],
        ]
        .concat();
        assert_eq!(row.to_bytes()[..], bytes);
        assert_eq!(Row::from_bytes(&row.to_bytes()), Ok(row));
        assert_eq!(Row::from_bytes(&Row::EMPTY.to_bytes()), Ok(Row::EMPTY));
        let mut unknown = row.to_bytes();
        unknown[63] = 1;
        assert_eq!(Row::from_bytes(&unknown), Err(ReadFault));
    }
}
