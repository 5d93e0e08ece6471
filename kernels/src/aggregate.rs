//! Measures, and what is known of them by group.

use crate::KernelError;

/// The value of a measure in rows that have none.
pub const MISSING: i64 = i64::MIN;

/// The group of rows that belong to none, such as suppressed ones.
pub const NO_GROUP: u32 = u32::MAX;

/// Maximum number of bins of a measure over all groups: 128 MiB of counts.
pub const MOST_BINS: u64 = 1 << 24;

/// The group of each row.
#[derive(Debug, Clone, Copy)]
pub struct GroupColumn<'a> {
    /// A number below `groups`, or [`NO_GROUP`], for each row.
    pub group_of_row: &'a [u32],
    /// Number of groups.
    pub groups: u32,
}

/// A column of numbers in fixed point, and how its values are bounded and divided into bins.
#[derive(Debug, Clone, Copy)]
pub struct MeasureColumn<'a> {
    /// The value of each row, or [`MISSING`].
    pub values: &'a [i64],
    /// The least value that counts as it is; lower ones count as this. At least −2³¹.
    pub low: i64,
    /// The greatest value that counts as it is. At most 2³¹ − 1, so that no sum of a batch exceeds 64 bits.
    pub high: i64,
    /// Where bins begin, ascending: bin 0 lies below the first edge, bin i begins at edge i − 1.
    pub edges: &'a [i64],
}

/// Totals by group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aggregates {
    /// Number of rows of each group.
    pub rows: Vec<u64>,
    /// The totals of each measure, in the order of the measures.
    pub measures: Vec<MeasureTotals>,
}

/// Totals of one measure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeasureTotals {
    /// The sum of the clamped values of each group.
    pub sums: Vec<i64>,
    /// Bins of each group.
    pub bins: usize,
    /// Number of values by group and bin, group after group.
    pub histogram: Vec<u64>,
}

impl Aggregates {
    /// Adds the totals of other rows, which have the same groups and measures.
    pub fn add(&mut self, others: &Self) {
        self.rows.iter_mut().zip(&others.rows).for_each(|(rows, more)| *rows += more);
        self.measures.iter_mut().zip(&others.measures).for_each(|(totals, more)| totals.add(more));
    }
}

impl MeasureTotals {
    /// Adds the totals of other rows, which have the same groups and bins.
    pub fn add(&mut self, others: &Self) {
        self.sums.iter_mut().zip(&others.sums).for_each(|(sum, more)| *sum += more);
        self.histogram.iter_mut().zip(&others.histogram).for_each(|(count, more)| *count += more);
    }

    /// Returns how many rows of a group have a value.
    #[must_use]
    pub fn count(&self, group: usize) -> u64 {
        self.histogram[group * self.bins..][..self.bins].iter().sum()
    }
}

impl MeasureColumn<'_> {
    /// Returns the bin of a value.
    pub(crate) fn bin(&self, value: i64) -> usize {
        self.edges.partition_point(|&edge| edge <= value)
    }
}

/// Checks all that can be checked without a look at the rows.
pub(crate) fn check(groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<(), KernelError> {
    let rows = groups.group_of_row.len();
    crate::error::check_rows(rows)?;
    for (measure, &MeasureColumn { values, low, high, edges }) in measures.iter().enumerate() {
        crate::error::check_length(rows, values.len())?;
        if low > high || low < i64::from(i32::MIN) || high > i64::from(i32::MAX) {
            return Err(KernelError::MeasureBounds { measure, low, high });
        }
        if !edges.is_sorted_by(|one, next| one < next) {
            return Err(KernelError::EdgeOrder { measure });
        }
        let bins = u64::from(groups.groups) * (edges.len() as u64 + 1);
        if bins > MOST_BINS {
            return Err(KernelError::TooManyBins { measure, bins });
        }
    }
    match u64::from(groups.groups) {
        bins if bins > MOST_BINS => Err(KernelError::TooManyBins { measure: 0, bins }),
        _ => Ok(()),
    }
}

/// Returns the error of a row whose group is out of range.
pub(crate) fn group_error(groups: &GroupColumn<'_>, row: usize) -> KernelError {
    KernelError::GroupOutOfRange { row, group: groups.group_of_row[row], groups: groups.groups }
}
