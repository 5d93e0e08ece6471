//! Compares totals with naive ones. A failure prints the seed that reproduces it.

mod random;

use kernels::{Aggregates, Backend, Cpu, GroupColumn, KernelError, MISSING, MeasureColumn, MeasureTotals, NO_GROUP};
use random::Random;

fn naive(groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Aggregates {
    let all = groups.groups as usize;
    let mut aggregates = Aggregates { rows: vec![0; all], measures: Vec::new() };
    for &group in groups.group_of_row.iter().filter(|&&group| group != NO_GROUP) {
        aggregates.rows[group as usize] += 1;
    }
    for measure in measures {
        let bins = measure.edges.len() + 1;
        let mut totals = MeasureTotals { sums: vec![0; all], bins, histogram: vec![0; all * bins] };
        for (&group, &value) in groups.group_of_row.iter().zip(measure.values) {
            if group != NO_GROUP && value != MISSING {
                let value = value.max(measure.low).min(measure.high);
                totals.sums[group as usize] += value;
                let bin = measure.edges.iter().filter(|&&edge| edge <= value).count();
                totals.histogram[group as usize * bins + bin] += 1;
            }
        }
        aggregates.measures.push(totals);
    }
    aggregates
}

#[test]
fn totals_are_those_of_the_naive_loop() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let rows = if seed % 10 == 0 { 100_000 } else { random.below(3_000) as usize };
        let groups = 1 + random.below(700) as u32;
        let group_of_row: Vec<u32> = (0..rows)
            .map(|_| if random.below(9) == 0 { NO_GROUP } else { random.below(u64::from(groups)) as u32 })
            .collect();
        let values: Vec<i64> = (0..rows)
            .map(|_| if random.below(9) == 0 { MISSING } else { random.below(1 << 34) as i64 - (1 << 33) })
            .collect();
        let edges: Vec<i64> = (0..random.below(30) as i64).map(|edge| (edge - 9) << 28).collect();
        let measures = [
            MeasureColumn { values: &values, low: i64::from(i32::MIN), high: i64::from(i32::MAX), edges: &edges },
            MeasureColumn { values: &values, low: -7, high: 12, edges: &[] },
        ];
        let groups = GroupColumn { group_of_row: &group_of_row, groups };
        let given = Cpu::new().aggregates(&groups, &measures).expect("in range");
        assert!(given == naive(&groups, &measures), "seed {seed}");
        let counted: u64 = (0..groups.groups as usize).map(|group| given.measures[0].count(group)).sum();
        let expected =
            group_of_row.iter().zip(&values).filter(|&(&group, &value)| group != NO_GROUP && value != MISSING);
        assert_eq!(counted, expected.count() as u64, "seed {seed}");
    }
}

#[test]
fn measures_that_could_overflow_or_make_no_sense_are_refused() {
    let groups = GroupColumn { group_of_row: &[0, 3], groups: 3 };
    let refused = |groups: &GroupColumn<'_>, measure: MeasureColumn<'_>| {
        Cpu::new().aggregates(groups, &[measure]).expect_err("cannot be computed")
    };
    let measure = MeasureColumn { values: &[1, 2], low: 0, high: 9, edges: &[1, 2] };
    assert_eq!(refused(&groups, measure), KernelError::GroupOutOfRange { row: 1, group: 3, groups: 3 });
    let groups = GroupColumn { group_of_row: &[0, 1], groups: 3 };
    for (low, high) in [(1, 0), (i64::from(i32::MIN) - 1, 0), (0, i64::from(i32::MAX) + 1)] {
        assert_eq!(
            refused(&groups, MeasureColumn { low, high, ..measure }),
            KernelError::MeasureBounds { measure: 0, low, high }
        );
    }
    for edges in [&[2, 1][..], &[1, 1]] {
        assert_eq!(refused(&groups, MeasureColumn { edges, ..measure }), KernelError::EdgeOrder { measure: 0 });
    }
    assert_eq!(
        refused(&groups, MeasureColumn { values: &[1], ..measure }),
        KernelError::ColumnLength { expected: 2, given: 1 }
    );
    let many = GroupColumn { groups: 1 << 24, ..groups };
    assert_eq!(refused(&many, measure), KernelError::TooManyBins { measure: 0, bins: 3 << 24 });
}
