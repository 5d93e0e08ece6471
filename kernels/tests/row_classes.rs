//! Compares classes with naive ones. A failure prints the seed that reproduces it.

mod random;

use kernels::{Backend, Cpu, Generalisation, KernelError, Level, SensitiveColumn};
use random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// Returns codes below `cardinality`.
fn codes(random: &mut Random, rows: usize, cardinality: u32) -> Vec<u32> {
    (0..rows).map(|_| random.below(u64::from(cardinality)) as u32).collect()
}

#[test]
fn classes_of_columns_are_those_of_the_naive_grouping() {
    for seed in 0..80 {
        let mut random = Random(seed);
        let rows = if seed % 8 == 0 { 60_000 } else { random.below(2_000) as usize };
        let cardinalities: Vec<u32> = (0..1 + random.below(5)).map(|_| 1 + random.below(50) as u32).collect();
        let columns: Vec<Vec<u32>> =
            cardinalities.iter().map(|&cardinality| codes(&mut random, rows, cardinality)).collect();
        let levels: Vec<Vec<u32>> = cardinalities
            .iter()
            .map(|&cardinality| {
                let coarse = 1 + random.below(u64::from(cardinality)) as u32;
                codes(&mut random, cardinality as usize, coarse)
            })
            .collect();
        let sensitive = [1, 32, 33, 1_024].map(|cardinality| (codes(&mut random, rows, cardinality), cardinality));

        let mut naive: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
        for row in 0..rows {
            let tuple = columns.iter().zip(&levels).map(|(codes, level)| level[codes[row] as usize]).collect();
            naive.entry(tuple).or_default().push(row as u32);
        }

        let given_levels = levels.iter().zip(&cardinalities);
        let given_levels =
            given_levels.map(|(level, &cardinality)| Level::new(level.clone(), cardinality).expect("in range"));
        let generalisation = Generalisation::new(given_levels.collect()).expect("few bits");
        let given_columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
        let given_sensitive: Vec<SensitiveColumn<'_>> =
            sensitive.iter().map(|(codes, cardinality)| SensitiveColumn { codes, cardinality: *cardinality }).collect();
        let table = Cpu::new().row_classes(&generalisation, &given_columns, &given_sensitive).expect("in range");

        let keys = table.classes.keys.iter().map(|&key| generalisation.packing().unpack(key));
        assert!(keys.eq(naive.keys().cloned()), "seed {seed}");
        assert!(table.first_rows.iter().eq(naive.values().map(|rows| &rows[0])), "seed {seed}");
        for (class, members) in naive.values().enumerate() {
            assert_eq!(table.classes.sizes[class] as usize, members.len(), "seed {seed}");
            assert!(
                members.iter().all(|&row| table.classes.class_of_row[row as usize] as usize == class),
                "seed {seed}"
            );
            for ((codes, cardinality), sets) in sensitive.iter().zip(&table.values) {
                let values: BTreeSet<u32> = members.iter().map(|&row| codes[row as usize]).collect();
                assert_eq!(sets.distinct(class) as usize, values.len(), "seed {seed}");
                assert!(
                    (0..*cardinality).all(|code| sets.contains(class, code) == values.contains(&code)),
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn the_first_wrong_code_of_the_first_wrong_column_is_the_error() {
    let generalisation = Generalisation::new(vec![Level::identity(4), Level::identity(4)]).expect("4 bits");
    let rows = 50_000;
    let (mut first, mut second, mut values) = (vec![1; rows], vec![2; rows], vec![0; rows]);
    let table = |first: &[u32], second: &[u32], values: &[u32]| {
        let sensitive = SensitiveColumn { codes: values, cardinality: 2 };
        Cpu::new().row_classes(&generalisation, &[first, second], &[sensitive])
    };
    values[40_000] = 2;
    let error = |column, row, code, cardinality| Err(KernelError::CodeOutOfRange { column, row, code, cardinality });
    assert_eq!(table(&first, &second, &values), error(0, 40_000, 2, 2));
    second[7] = 9;
    assert_eq!(table(&first, &second, &values), error(1, 7, 9, 4));
    first[49_999] = 4;
    first[30_000] = 5;
    assert_eq!(table(&first, &second, &values), error(0, 30_000, 5, 4));
}

#[test]
fn levels_and_columns_that_do_not_fit_are_refused() {
    let refused = Level::new(vec![0, 3], 3).expect_err("3 is the fourth code");
    assert_eq!(refused, KernelError::LookupOutOfRange { code: 1, value: 3, cardinality: 3 });
    let generalisation = Generalisation::new(vec![Level::any(3)]).expect("0 bits");
    let wide = SensitiveColumn { codes: &[0], cardinality: 1_025 };
    let cpu = Cpu::new();
    let refused = cpu.row_classes(&generalisation, &[&[0]], &[wide]);
    assert_eq!(refused, Err(KernelError::SensitiveTooWide { column: 0, cardinality: 1_025 }));
    let short = SensitiveColumn { codes: &[], cardinality: 2 };
    let refused = cpu.row_classes(&generalisation, &[&[0]], &[short]);
    assert_eq!(refused, Err(KernelError::ColumnLength { expected: 1, given: 0 }));
    let refused = cpu.row_classes(&generalisation, &[], &[]);
    assert_eq!(refused, Err(KernelError::ColumnCount { expected: 1, given: 0 }));
}
