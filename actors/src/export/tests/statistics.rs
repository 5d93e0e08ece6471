//! The exact statistics that noise is added to, and which of them a request gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use domain::columns::Quasi;
use domain::export::{AggregatePlan, ExportColumn, GroupAccumulator, MAX_GROUPS, Measure, MeasureKind};
use domain::splitmix64;
use kernels::{Cpu, MISSING};

use super::super::aggregate::exact;
use super::super::coded;
use super::super::device::Device;
use super::super::job_context::JobContext;
use super::super::rows::ExportRows;
use super::super::run::Run;
use super::fixture::{ID, Mixed, NOW, columns, request, rules, run, table};
use super::memory::MemoryTables;

const SEED: u64 = 20_261_130;

/// Returns a value of a measure: missing, within the bounds, at them, or far above.
fn value(measure: &Measure, random: &mut u64) -> i64 {
    let drawn = splitmix64::next(random);
    match measure.kind {
        MeasureKind::Integer { clamp, .. } => match drawn % 5 {
            0 => MISSING,
            1 => clamp as i64,
            2 => i64::from(u32::MAX),
            _ => (drawn >> 8) as i64 % (3 * clamp as i64),
        },
        MeasureKind::Word { values } => (drawn % u64::from(values)) as i64,
    }
}

/// Asserts that one more person changes the statistics by no more than the noise is made for. Returns the change of the sums.
fn assert_is_one_person(measures: &[Measure], with: &[GroupAccumulator], without: &[GroupAccumulator]) -> Vec<u64> {
    let changed: Vec<_> = with.iter().zip(without).filter(|(with, without)| with != without).collect();
    let [(with, without)] = changed[..] else { panic!("{} groups have changed", changed.len()) };
    assert_eq!(with.rows - without.rows, 1);
    let change = |number: usize| with.sums[number].checked_sub(without.sums[number]).expect("sums do not fall");
    for (number, measure) in measures.iter().enumerate() {
        let most = if let MeasureKind::Integer { clamp, .. } = measure.kind { clamp } else { 0 };
        assert!(change(number) <= most, "{measure:?}");
        let bins = with.bins[number].iter().zip(&without.bins[number]);
        let changes: Vec<u64> = bins.map(|(with, without)| with.abs_diff(*without)).filter(|by| *by > 0).collect();
        assert!(changes.is_empty() || changes == [1], "one bin by one: {measure:?}");
    }
    (0..measures.len()).map(change).collect()
}

#[test]
fn a_person_changes_the_statistics_by_at_most_the_bounds_of_the_measures_whatever_the_values_are() {
    let (columns, tables, rules) = (columns(), MemoryTables::default(), rules());
    let request = request(
        r#"{"mode": "aggregate", "epsilon": 1, "columns": ["gender", "region", "total_active", "overall_risk",
            "profile_completeness_pct", "potential_annual_benefit_inr"]}"#,
    );
    let (device, never, entropy) =
        (Device::new(Arc::new(Cpu::new())), AtomicBool::new(false), Mixed(AtomicU64::new(1)));
    let job = JobContext::new([&never, &never], 1 << 30, &|_| {});
    let run = Run {
        id: ID,
        request: &request,
        now: NOW,
        rules: &rules,
        earlier: &[],
        columns: &columns,
        device: &device,
        tables: &tables,
        entropy: &entropy,
        job: &job,
    };
    let rows = ExportRows::collect(&columns, &[&request.filter], &job).expect("rows");
    let (lattice, quasi) =
        coded::quasi_identifiers(&request, &rules, &rows, &rows.positions()).expect("columns of groups");
    let measures: Vec<Measure> =
        request.columns.iter().filter_map(|column| Measure::for_column(column, rules.role(column), 7)).collect();
    assert_eq!(measures.len(), 4);
    let plan = AggregatePlan::new(&lattice, measures.clone(), 1_000_000, 10).expect("a plan");
    let (keys, mut random) = (plan.group_keys(&lattice), SEED);
    let people = rows.rows.len();
    let values = |measure: &Measure, random: &mut u64| (0..people).map(|_| value(measure, random)).collect();
    let measured: Vec<(Measure, Vec<i64>)> =
        measures.iter().map(|measure| (*measure, values(measure, &mut random))).collect();
    let of_first = |people: usize| exact(&run, &plan, &lattice, &quasi, &measured, &keys, people).expect("computed");
    let mut greatest = vec![0; measures.len()];
    for first in (0..60).chain(people - 60..people) {
        let changes = assert_is_one_person(&measures, &of_first(first + 1), &of_first(first));
        for ((greatest, change), (measure, values)) in greatest.iter_mut().zip(changes).zip(&measured) {
            let expected = match measure.kind {
                MeasureKind::Integer { clamp, .. } if values[first] != MISSING => clamp.min(values[first] as u64),
                _ => 0,
            };
            assert_eq!(change, expected, "person {first}, seed {SEED}: {measure:?}");
            *greatest = change.max(*greatest);
        }
    }
    for (measure, greatest) in measures.iter().zip(greatest) {
        let clamp = if let MeasureKind::Integer { clamp, .. } = measure.kind { clamp } else { 0 };
        assert_eq!(greatest, clamp, "some values are above the bound: {measure:?}");
    }
}

#[test]
fn the_default_of_aggregates_has_few_enough_groups_and_is_written() {
    let columns = columns();
    let request = request(r#"{"mode": "aggregate", "epsilon": 2}"#);
    assert!(
        [ExportColumn::AgeBracket, ExportColumn::Gender, ExportColumn::State].map(|column| request.columns.has(column))
            == [true; 3]
    );
    // With as many states as the dictionary holds, those that are missing, and those that share a code.
    let words = |quasi: Quasi| quasi.words().len() as u64 + 1;
    assert!(64 * words(Quasi::AgeBracket) * words(Quasi::Gender) <= MAX_GROUPS);
    let tables = MemoryTables::default();
    let written = run(&columns, &tables, &request, &[], SEED).written();
    let report = table(&tables).check();
    assert!(report.rows > 0 && report.rows == written.rows_written && report.smallest_class >= 10, "{report:?}");
}
