//! Totals by group: parts of the rows are added up in parallel, and then the parts.

use crate::aggregate::{check, group_error};
use crate::{Aggregates, GroupColumn, KernelError, MISSING, MeasureColumn, MeasureTotals, NO_GROUP};
use rayon::prelude::*;

/// Fewest rows of a part. A part has totals of its own, so that there are no more parts than threads.
const FEWEST_ROWS: usize = 1 << 14;

/// Computes [`Backend::aggregates`](crate::Backend::aggregates).
pub(super) fn aggregates(groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<Aggregates, KernelError> {
    check(groups, measures)?;
    let is_outside = |&group: &u32| group >= groups.groups && group != NO_GROUP;
    if let Some(row) = groups.group_of_row.par_iter().position_first(is_outside) {
        return Err(group_error(groups, row));
    }
    let rows = totals(groups, None);
    let measures = measures.iter().map(|measure| totals(groups, Some(measure))).collect();
    Ok(Aggregates { rows: rows.histogram, measures })
}

/// Returns the totals of a measure, or the numbers of rows as a histogram of one bin.
fn totals(groups: &GroupColumn<'_>, measure: Option<&MeasureColumn<'_>>) -> MeasureTotals {
    let rows = groups.group_of_row.len();
    let part = rows.div_ceil(rayon::current_num_threads()).max(FEWEST_ROWS);
    let starts: Vec<usize> = (0..rows).step_by(part).collect();
    let parts = starts.into_par_iter().map(|first| {
        let last = rows.min(first + part);
        let mut totals = empty(groups, measure);
        match measure {
            Some(measure) => add(&mut totals, &groups.group_of_row[first..last], measure, &measure.values[first..last]),
            None => count(&mut totals, &groups.group_of_row[first..last]),
        }
        totals
    });
    parts.reduce_with(sum).unwrap_or_else(|| empty(groups, measure))
}

fn empty(groups: &GroupColumn<'_>, measure: Option<&MeasureColumn<'_>>) -> MeasureTotals {
    let bins = measure.map_or(1, |measure| measure.edges.len() + 1);
    let groups = groups.groups as usize;
    MeasureTotals { sums: vec![0; groups], bins, histogram: vec![0; groups * bins] }
}

fn add(totals: &mut MeasureTotals, group_of_row: &[u32], measure: &MeasureColumn<'_>, values: &[i64]) {
    for (&group, &value) in group_of_row.iter().zip(values) {
        if group != NO_GROUP && value != MISSING {
            let value = value.clamp(measure.low, measure.high);
            totals.sums[group as usize] += value;
            totals.histogram[group as usize * totals.bins + measure.bin(value)] += 1;
        }
    }
}

fn count(totals: &mut MeasureTotals, group_of_row: &[u32]) {
    for &group in group_of_row.iter().filter(|&&group| group != NO_GROUP) {
        totals.histogram[group as usize] += 1;
    }
}

fn sum(mut one: MeasureTotals, other: MeasureTotals) -> MeasureTotals {
    one.add(&other);
    one
}
