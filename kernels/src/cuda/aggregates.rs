//! Totals by group on the device.

use super::driver::Buffer;
use super::error::CudaError;
use super::lane::Lane;
use super::program::Program;
use crate::aggregate::group_error;
use crate::{Aggregates, GroupColumn, KernelError, MeasureColumn, MeasureTotals};

/// Rows that a thread adds up, as in `aggregates.cu`.
const ROWS_PER_THREAD: usize = 8;

/// Bytes on the device. Measures are computed one after the other.
pub(super) fn bytes(groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> u64 {
    let edges = measures.iter().map(|measure| measure.edges.len()).max().unwrap_or_default() as u64;
    groups.group_of_row.len() as u64 * 12 + u64::from(groups.groups) * (edges + 2) * 8 + edges * 8
}

pub(super) fn aggregates(
    lane: &mut Lane,
    program: &Program,
    groups: &GroupColumn<'_>,
    measures: &[MeasureColumn<'_>],
) -> Result<Aggregates, KernelError> {
    let group_of_row = lane.upload(groups.group_of_row)?;
    let rows = totals(lane, program, groups, &group_of_row, None)?.histogram;
    let measures = measures.iter().map(|measure| totals(lane, program, groups, &group_of_row, Some(measure)));
    Ok(Aggregates { rows, measures: measures.collect::<Result<_, _>>()? })
}

/// Returns the totals of a measure, or the numbers of rows as a histogram of one bin.
fn totals(
    lane: &mut Lane,
    program: &Program,
    groups: &GroupColumn<'_>,
    group_of_row: &Buffer<u32>,
    measure: Option<&MeasureColumn<'_>>,
) -> Result<MeasureTotals, KernelError> {
    let rows = groups.group_of_row.len();
    let edges = measure.map_or(&[][..], |measure| measure.edges);
    let (bins, group_count) = (edges.len() + 1, groups.groups as usize);
    if rows == 0 || group_count == 0 {
        // Without groups, any row's group is out of range, unless it has none.
        return match groups.group_of_row.iter().position(|&group| group != crate::NO_GROUP) {
            Some(row) => Err(group_error(groups, row)),
            None => Ok(MeasureTotals { sums: vec![0; group_count], bins, histogram: vec![0; group_count * bins] }),
        };
    }
    let values = lane.upload(measure.map_or(&[][..], |measure| measure.values))?;
    let device_edges = lane.upload(edges)?;
    let histogram = lane.filled::<u64>(group_count * bins, 0)?;
    let sums = lane.filled::<i64>(group_count, 0)?;
    let first_error = lane.filled::<u64>(1, 0xff)?;
    // Fits: the numbers of rows and bins are checked.
    let (row_count, edge_count) = (rows as u32, edges.len() as u32);
    lane.launch(
        &program.aggregate,
        rows,
        ROWS_PER_THREAD,
        [
            group_of_row.into(),
            (&values).into(),
            u32::from(measure.is_some()).into(),
            row_count.into(),
            groups.groups.into(),
            measure.map_or(0, |measure| measure.low).into(),
            measure.map_or(0, |measure| measure.high).into(),
            (&device_edges).into(),
            edge_count.into(),
            (&histogram).into(),
            (&sums).into(),
            (&first_error).into(),
        ],
    )?;
    let bad = lane.download(&first_error, 1)?[0];
    if bad != u64::MAX {
        let row = usize::try_from(bad).ok().filter(|&row| row < rows);
        let row = row.ok_or(CudaError::WrongResult { what: "an error in a row that is not there" })?;
        return Err(group_error(groups, row));
    }
    let sums = lane.download(&sums, group_count)?;
    let histogram = lane.download(&histogram, group_count * bins)?;
    Ok(MeasureTotals { sums, bins, histogram })
}
