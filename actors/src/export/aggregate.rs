//! Exports of aggregates: a row for each group, with noise.

use std::ops::Range;

use domain::export::{
    AggregatePlan, AggregateRefusal, ColumnRole, ExportColumn, ExportStage, GroupAccumulator, Lattice, LevelRule,
    Measure, MeasureKind, QuasiIdentifier, level_names, release_group,
};
use domain::port::clock::Entropy;
use kernels::{Aggregates, GroupColumn, MISSING, MeasureColumn};

use super::aggregate_file::write_file;
use super::classes::{keys_at, not_computed};
use super::coded::{self, CodedColumn};
use super::columns::integer;
use super::job_context::{ATTEMPTS, JobEnd, KEPT_LEAVING};
use super::rows::ExportRows;
use super::run::{Run, Written};

/// Writes the file of an export of aggregates. If anybody leaves meanwhile, it is written anew without them, and with other noise:
/// only the last file is handed out, so the others spend nothing.
pub(super) fn write(run: &Run<'_>) -> Result<Written, JobEnd> {
    run.job.stage(ExportStage::Scanning, 0)?;
    let mut rows = ExportRows::collect(run.columns, &[&run.request.filter], run.job)?;
    rows.note_left(run.columns);
    for _ in 0..ATTEMPTS {
        rows.remove_left();
        let written = write_once(run, &rows)?;
        if !rows.note_left(run.columns) {
            return Ok(written);
        }
        run.remove_file()?;
    }
    Err(KEPT_LEAVING)
}

/// Writes the statistics of these rows.
fn write_once(run: &Run<'_>, rows: &ExportRows) -> Result<Written, JobEnd> {
    let job = run.job;
    let (lattice, quasi) = coded::quasi_identifiers(run.request, run.rules, rows, &rows.positions())?;
    if has_districts(run, &lattice) {
        return Err(JobEnd::Failed(
            "aggregates have groups by state or region, not by district: ask for other columns",
        ));
    }

    // One step, whoever is in it: the progress shows no number without noise.
    job.stage(ExportStage::Grouping, 1)?;
    let measured = measures(run, rows);
    let plan = AggregatePlan::new(
        &lattice,
        measured.iter().map(|(measure, _)| *measure).collect(),
        run.request.micro_epsilon.unwrap_or(0).into(),
        run.request.k,
    );
    let plan = plan.map_err(|refusal| match refusal {
        AggregateRefusal::TooManyGroups(_) => {
            JobEnd::Failed("the columns give too many groups: ask for fewer or coarser ones")
        }
        AggregateRefusal::EpsilonTooSmall(_) => JobEnd::Failed("epsilon is too small for so many statistics"),
    })?;
    let group_keys = plan.group_keys(&lattice);
    let groups = exact(run, &plan, &lattice, &quasi, &measured, &group_keys, rows.rows.len())?;
    job.done(1)?;

    job.stage(ExportStage::Searching, groups.len() as u64)?;
    let mut random = random_bits(run.entropy);
    let mut released = Vec::new();
    for (number, (key, group)) in group_keys.iter().zip(&groups).enumerate() {
        released.extend(release_group(&plan, *key, group, &mut random));
        if number % 1_024 == 0 {
            job.check_cancelled()?;
        }
    }
    let left_out = groups.len() as u64 - released.len() as u64;
    job.suppressed(left_out);

    job.stage(ExportStage::Writing, released.len() as u64)?;
    let bytes = write_file(run, &lattice, &plan, &released)?;
    job.written(released.len() as u64);
    Ok(Written {
        bytes,
        rows_written: released.len() as u64,
        rows_suppressed: left_out,
        information_loss_ppm: None,
        levels: level_names(&lattice, &lattice.finest()),
        left_out: Vec::new(),
        rows: rows.ids.iter().copied().collect(),
    })
}

/// Returns whether groups would be by district: which districts there are depends on who is in the export.
fn has_districts(run: &Run<'_>, lattice: &Lattice) -> bool {
    lattice.columns().iter().any(|column| {
        column.quasi_identifier == QuasiIdentifier::Place
            && run
                .rules
                .hierarchy(QuasiIdentifier::Place)
                .is_some_and(|place| place.levels()[column.finest].rule == LevelRule::Exact)
    })
}

/// Returns the columns that are measured, with the codes of those that hold words.
fn measures(run: &Run<'_>, rows: &ExportRows) -> Vec<(Measure, Vec<i64>)> {
    let measure = |column: ExportColumn| {
        let role = run.rules.role(column);
        if role == ColumnRole::Sensitive {
            let CodedColumn { words, codes } = coded::word_column(column, rows)?;
            let measure = Measure::for_column(column, role, words.len() as u32)?;
            return Some((measure, codes.into_iter().map(i64::from).collect()));
        }
        let (measure, value) = (Measure::for_column(column, role, 0)?, integer(column)?);
        Some((measure, rows.rows.iter().map(|row| value(row).unwrap_or(MISSING)).collect()))
    };
    run.request.columns.iter().filter_map(measure).collect()
}

/// Returns the exact statistics of each group, computed on the device. A person changes them by at most the bounds of the
/// measures, which the noise is made for.
pub(super) fn exact(
    run: &Run<'_>,
    plan: &AggregatePlan,
    lattice: &Lattice,
    quasi: &[CodedColumn],
    measured: &[(Measure, Vec<i64>)],
    group_keys: &[u64],
    rows: usize,
) -> Result<Vec<GroupAccumulator>, JobEnd> {
    let finest = lattice.finest();
    let key = |row: usize| {
        lattice.key_of_codes(&finest, &quasi.iter().map(|column| column.codes[row] as u16).collect::<Vec<_>>())
    };
    let keys = keys_at(lattice, &finest, &(0..rows).map(key).collect::<Vec<_>>());
    // Every key is one of the plan's: both come from the words of the dictionaries.
    let group_of_row: Vec<u32> =
        keys.iter().map(|key| group_keys.binary_search(key).unwrap_or_default() as u32).collect();
    // Bins of a measure begin at its edges; the first one begins at 0.
    let edges: Vec<Vec<i64>> = plan.measures.iter().map(edges).collect();
    let compute = |rows: Range<usize>| {
        let totals = run.device.compute(|backend| {
            let columns = measured.iter().zip(&edges).map(|((measure, values), edges)| {
                let high = match measure.kind {
                    MeasureKind::Integer { clamp, .. } => clamp as i64,
                    MeasureKind::Word { values } => i64::from(values),
                };
                MeasureColumn { values: &values[rows.clone()], low: 0, high, edges }
            });
            let groups = GroupColumn { group_of_row: &group_of_row[rows.clone()], groups: group_keys.len() as u32 };
            backend.aggregates(&groups, &columns.collect::<Vec<_>>())
        });
        totals.map_err(not_computed)
    };
    let batches = run.device.in_batches(rows, compute, |_| run.job.check_cancelled())?;
    let mut totals = Aggregates::default();
    for batch in batches {
        if totals.rows.is_empty() { totals = batch } else { totals.add(&batch) }
    }
    let accumulator = |group: usize| {
        let mut accumulator = GroupAccumulator::new(plan);
        accumulator.rows = totals.rows[group];
        for (number, measure) in plan.measures.iter().enumerate() {
            let of_measure = &totals.measures[number];
            if matches!(measure.kind, MeasureKind::Integer { .. }) {
                accumulator.sums[number] = u64::try_from(of_measure.sums[group]).unwrap_or(0);
            }
            accumulator.bins[number]
                .copy_from_slice(&of_measure.histogram[group * of_measure.bins..][..of_measure.bins]);
        }
        accumulator
    };
    Ok((0..group_keys.len()).map(accumulator).collect())
}

fn edges(measure: &Measure) -> Vec<i64> {
    match measure.kind {
        MeasureKind::Integer { bins, .. } => bins[1..].iter().map(|first| *first as i64).collect(),
        MeasureKind::Word { values } => (1..i64::from(values)).collect(),
    }
}

/// Returns random bits for noise, from a source that nobody can guess.
fn random_bits(entropy: &dyn Entropy) -> impl FnMut() -> u64 {
    let mut buffer = [0_u8; 1_024];
    let mut at = buffer.len();
    move || {
        if at == buffer.len() {
            entropy.fill(&mut buffer);
            at = 0;
        }
        at += 8;
        buffer[at - 8..at].try_into().map_or(0, u64::from_le_bytes)
    }
}
