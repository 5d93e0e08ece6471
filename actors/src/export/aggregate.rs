//! Exports of aggregates: a row for each group, with noise.

use std::collections::BTreeMap;

use domain::export::{
    AggregatePlan, AggregateRefusal, COUNT_COLUMN, ColumnRole, ExportClaims, ExportColumn, ExportMode, ExportStage,
    GroupAccumulator, Lattice, LevelRule, Measure, MeasureKind, QuasiIdentifier, ReleasedGroup, level_names,
    release_group,
};
use domain::port::clock::Entropy;
use domain::port::table::{ColumnType, ColumnValues, TableColumn, TableSchema};
use kernels::{GroupColumn, MISSING};

use super::classes::{keys_at, not_computed};
use super::coded::{self, CodedColumn};
use super::columns::{FileColumns, FileInput, integer};
use super::job_context::JobEnd;
use super::rows::ExportRows;
use super::run::{Run, Written, not_written};

/// Thousandths that a mean is given in.
const MEAN_UNIT: f64 = 1_000.0;

/// Writes the file of an export of aggregates.
pub(super) fn write(run: &Run<'_>) -> Result<Written, JobEnd> {
    let job = run.job;
    job.stage(ExportStage::Scanning, 0)?;
    let mut rows = ExportRows::collect(run.columns, &[&run.request.filter], job)?;
    rows.remove_left(run.columns);
    let (lattice, quasi) = coded::quasi_identifiers(run.request, run.rules, &rows)?;
    if has_districts(run, &lattice) {
        return Err(JobEnd::Failed(
            "aggregates have groups by state or region, not by district: ask for other columns",
        ));
    }

    job.stage(ExportStage::Grouping, rows.rows.len() as u64)?;
    let measured = measures(run, &rows);
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
    job.done(rows.rows.len() as u64)?;

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
    let bytes = write_file(run, &lattice, &plan, &measured, &released)?;
    job.written(released.len() as u64);
    Ok(Written {
        bytes,
        rows_written: released.len() as u64,
        rows_suppressed: left_out,
        information_loss_ppm: None,
        levels: level_names(&lattice, &lattice.finest()),
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

/// Returns the exact statistics of each group, computed on the device.
fn exact(
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
    let totals = run.device.compute(|backend| {
        let measures: Vec<kernels::MeasureColumn<'_>> = measured
            .iter()
            .zip(&edges)
            .map(|((measure, values), edges)| {
                let high = match measure.kind {
                    MeasureKind::Integer { clamp, .. } => clamp as i64,
                    MeasureKind::Word { values } => i64::from(values),
                };
                kernels::MeasureColumn { values, low: 0, high, edges }
            })
            .collect();
        let groups = GroupColumn { group_of_row: &group_of_row, groups: group_keys.len() as u32 };
        backend.aggregates(&groups, &measures)
    });
    let totals = totals.map_err(not_computed)?;
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

fn write_file(
    run: &Run<'_>,
    lattice: &Lattice,
    plan: &AggregatePlan,
    measured: &[(Measure, Vec<i64>)],
    released: &[ReleasedGroup],
) -> Result<u64, JobEnd> {
    let node = lattice.finest();
    let keys: Vec<u64> = released.iter().map(|group| group.key).collect();
    let input =
        FileInput { keys: &keys, rules: run.rules, lattice, node: &node, sensitive: &[], tags: &[const { None }; 64] };
    let groups =
        run.request.columns.iter().filter(|column| matches!(run.rules.role(*column), ColumnRole::QuasiIdentifier(_)));
    let groups = FileColumns::new(groups, &input);
    let mut columns = groups.schema();
    let mut values = groups.batch(&[], &keys, &[], &[], &[]);
    columns.push(TableColumn {
        name: COUNT_COLUMN.to_owned(),
        description: "The number of people, with noise.".to_owned(),
        values: ColumnType::Integer,
    });
    values.push(ColumnValues::Integers(released.iter().map(|group| i64::try_from(group.count).ok()).collect()));
    for (number, (measure, _)) in measured.iter().enumerate() {
        for statistic in statistics(number, measure) {
            values.push(statistic.values(released));
            columns.push(statistic.column);
        }
    }
    let others = BTreeMap::from([
        ("epsilon".to_owned(), format!("{}e-6", run.request.micro_epsilon.unwrap_or(0))),
        ("epsilon_of_each_statistic".to_owned(), format!("{}e-6", plan.micro_epsilon_each)),
        ("levels".to_owned(), serde_json::Value::Object(level_names(lattice, &node)).to_string()),
        ("noise".to_owned(), "discrete Laplace".to_owned()),
    ]);
    let claims = ExportClaims {
        job_id: run.id.to_string(),
        mode: ExportMode::Aggregate,
        k: run.request.k,
        l: 1,
        rows: released.len() as u64,
        quasi_identifiers: groups.quasi_identifiers(),
        sensitive: Vec::new(),
        others: run.common_metadata().into_iter().chain(others).collect(),
    };
    let mut writer = run.create_file(&TableSchema { columns, metadata: claims.to_metadata() })?;
    writer.write(&values).map_err(not_written)?;
    writer.finish().map_err(not_written)
}

/// A column of a file that holds one statistic of a measure.
struct Statistic {
    column: TableColumn,
    measure: usize,
    value: Value,
}

enum Value {
    Sum,
    Mean,
    Quartile(usize),
    Bin(usize),
}

fn statistics(number: usize, measure: &Measure) -> Vec<Statistic> {
    let name = measure.column.name();
    let statistic = |suffix: String, description: String, values, value| Statistic {
        column: TableColumn { name: format!("{name}_{suffix}"), description, values },
        measure: number,
        value,
    };
    let mut statistics = Vec::new();
    if let MeasureKind::Integer { .. } = measure.kind {
        statistics.push(statistic(
            "sum".into(),
            format!("The sum of `{name}`, with noise."),
            ColumnType::Integer,
            Value::Sum,
        ));
        statistics.push(statistic(
            "mean".into(),
            format!("The mean of `{name}`, of values with noise."),
            ColumnType::Real,
            Value::Mean,
        ));
        for quarter in 0..3 {
            let description =
                format!("The bin in which quartile {} of `{name}` lies, by where it begins.", quarter + 1);
            statistics.push(statistic(
                format!("quartile_{}", quarter + 1),
                description,
                ColumnType::Integer,
                Value::Quartile(quarter),
            ));
        }
    }
    for bin in 0..measure.bins() {
        let (suffix, what) = match measure.kind {
            MeasureKind::Integer { bins, .. } => {
                (bins[bin].to_string(), format!("the bin that begins at {}", bins[bin]))
            }
            MeasureKind::Word { .. } => {
                (coded::word_of(measure.column, bin), format!("`{}`", coded::word_of(measure.column, bin)))
            }
        };
        let description = format!("The number of people whose `{name}` is in {what}, with noise.");
        statistics.push(statistic(format!("count_{suffix}"), description, ColumnType::Integer, Value::Bin(bin)));
    }
    statistics
}

impl Statistic {
    fn values(&self, released: &[ReleasedGroup]) -> ColumnValues {
        let measures = released.iter().map(|group| &group.measures[self.measure]);
        match self.value {
            Value::Sum => ColumnValues::Integers(measures.map(|measure| measure.sum).collect()),
            Value::Mean => {
                let mean = |thousandths: i64| thousandths as f64 / MEAN_UNIT;
                ColumnValues::Reals(measures.map(|measure| measure.mean_thousandths.map(mean)).collect())
            }
            Value::Quartile(quarter) => {
                let value = |quartiles: [u64; 3]| i64::try_from(quartiles[quarter]).ok();
                ColumnValues::Integers(measures.map(|measure| measure.quartiles.and_then(value)).collect())
            }
            Value::Bin(bin) => {
                ColumnValues::Integers(measures.map(|measure| i64::try_from(measure.histogram[bin]).ok()).collect())
            }
        }
    }
}
