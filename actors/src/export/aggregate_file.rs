//! The file of an export of aggregates.

use std::collections::BTreeMap;

use domain::export::{
    AggregatePlan, COUNT_COLUMN, ColumnRole, ExportClaims, ExportMode, Lattice, Measure, MeasureKind, ReleasedGroup,
    level_names,
};
use domain::port::table::{ColumnType, ColumnValues, TableColumn, TableSchema};

use super::coded;
use super::columns::{FileColumns, FileInput};
use super::job_context::JobEnd;
use super::run::{Run, not_written};

/// Thousandths that a mean is given in.
const MEAN_UNIT: f64 = 1_000.0;

/// Writes the released groups, and returns the length of the file in bytes.
pub(super) fn write_file(
    run: &Run<'_>,
    lattice: &Lattice,
    plan: &AggregatePlan,
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
    for (number, measure) in plan.measures.iter().enumerate() {
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
