//! Compares the radix-partitioned grouping with a naive one. A failure prints the seed that reproduces it.

mod random;

use kernels::{Classes, KernelError, Packing, cpu};
use random::Random;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Returns the same result from an ordered map: slow, but simple enough to check by reading.
fn naive(keys: &[u64], sensitive: &[u32]) -> (Classes, Vec<u32>) {
    let mut sizes: BTreeMap<u64, u32> = BTreeMap::new();
    let mut values: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for (&key, &value) in keys.iter().zip(sensitive) {
        *sizes.entry(key).or_default() += 1;
        values.entry(key).or_default().insert(value);
    }
    let position: BTreeMap<u64, u32> = sizes.keys().zip(0..).map(|(&key, class)| (key, class)).collect();
    let classes = Classes {
        class_of_row: keys.iter().map(|key| position[key]).collect(),
        keys: sizes.keys().copied().collect(),
        sizes: sizes.into_values().collect(),
    };
    (classes, values.into_values().map(|values| values.len() as u32).collect())
}

#[track_caller]
fn check(keys: &[u64], sensitive: &[u32], about: &str) {
    let classes = cpu::class_sizes(keys).expect("few rows");
    let distinct = cpu::distinct_values(&classes, sensitive).expect("as many rows");
    assert!((classes, distinct) == naive(keys, sensitive), "{about}, {} rows", keys.len());
}

/// Returns a batch whose keys are distributed in one of the ways that could upset a hash: dense, sparse, in the
/// high bits only, with a common stride, or nearly all equal.
fn batch(random: &mut Random, most_rows: u64) -> (Vec<u64>, Vec<u32>) {
    let rows = random.below(most_rows);
    let (classes, shape, shift) = (1 + random.below(rows + 1), random.below(5), random.below(64));
    let values = 1 + random.below(20);
    let keys = (0..rows).map(|_| match shape {
        0 => random.below(classes),
        1 => random.below(classes).wrapping_mul(0xD6E8_FEB8_6659_FD93),
        2 => random.below(classes) << shift,
        3 => u64::MAX - random.below(classes) * 4_096,
        _ if random.below(100) == 0 => random.next(),
        _ => 7,
    });
    let keys: Vec<u64> = keys.collect();
    let sensitive = keys.iter().map(|_| random.below(values) as u32 * 0x0101_0101).collect();
    (keys, sensitive)
}

#[test]
fn classes_are_those_of_the_naive_grouping() {
    for seed in 0..400 {
        let (keys, sensitive) = batch(&mut Random(seed), 3_000);
        check(&keys, &sensitive, &format!("seed {seed}"));
    }
}

#[test]
fn classes_of_many_partitions_are_those_of_the_naive_grouping() {
    for seed in 1_000..1_016 {
        let (keys, sensitive) = batch(&mut Random(seed), 100_000);
        check(&keys, &sensitive, &format!("seed {seed}"));
    }
}

#[test]
fn the_order_of_rows_changes_no_class() {
    for seed in 2_000..2_100 {
        let (keys, sensitive) = batch(&mut Random(seed), 2_000);
        let reversed: Vec<u64> = keys.iter().rev().copied().collect();
        let reversed_sensitive: Vec<u32> = sensitive.iter().rev().copied().collect();
        let classes = cpu::class_sizes(&keys).expect("few rows");
        let backwards = cpu::class_sizes(&reversed).expect("few rows");
        assert!(classes.keys == backwards.keys && classes.sizes == backwards.sizes, "seed {seed}");
        let distinct = cpu::distinct_values(&classes, &sensitive).expect("as many rows");
        let distinct_backwards = cpu::distinct_values(&backwards, &reversed_sensitive).expect("as many rows");
        assert_eq!(distinct, distinct_backwards, "seed {seed}");
    }
}

#[test]
fn the_extremes_are_classes_too() {
    check(&[], &[], "no row");
    check(&[0], &[0], "one row");
    check(&[u64::MAX, 0, u64::MAX], &[u32::MAX, 0, 0], "the smallest and the greatest key");
    let unique: Vec<u64> = (0..20_000).collect();
    check(&unique, &vec![1; 20_000], "every row a class of its own");
    check(&vec![5; 20_000], &(0..20_000).collect::<Vec<_>>(), "one class of everyone");
}

#[test]
fn rows_below_k_are_those_to_suppress() {
    let classes = cpu::class_sizes(&[1, 1, 1, 2, 2, 3]).expect("few rows");
    assert_eq!([1, 2, 3, 4].map(|k| classes.rows_below(k)), [0, 1, 3, 6]);
}

#[test]
fn packed_keys_keep_tuples_apart_and_in_order() {
    for seed in 3_000..3_100 {
        let mut random = Random(seed);
        let cardinalities: Vec<u32> = (0..1 + random.below(8)).map(|_| 1 + random.below(200) as u32).collect();
        let rows: Vec<Vec<u32>> = (0..200)
            .map(|_| cardinalities.iter().map(|&codes| random.below(u64::from(codes)) as u32).collect())
            .collect();
        let columns: Vec<Vec<u32>> =
            (0..cardinalities.len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect();
        let packing = Packing::new(&cardinalities).expect("at most 64 bits");
        let keys = packing.pack(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("codes in range");

        for (key, row) in keys.iter().zip(&rows) {
            assert_eq!(packing.unpack(*key), *row, "seed {seed}");
        }
        let different: HashSet<_> = rows.iter().collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), different.len(), "seed {seed}");
        assert_eq!(keys.is_sorted(), rows.is_sorted(), "seed {seed}");
        let mut by_key: Vec<_> = keys.iter().zip(&rows).collect();
        by_key.sort();
        assert!(by_key.is_sorted_by_key(|(_, row)| *row), "seed {seed}");
    }
}

#[test]
fn a_key_can_use_all_of_its_bits() {
    let packing = Packing::new(&[u32::MAX, u32::MAX]).expect("64 bits");
    let greatest = u32::MAX - 1;
    let keys = packing.pack(&[&[greatest, 0], &[greatest, 1]]).expect("codes in range");
    assert_eq!(packing.unpack(keys[0]), [greatest, greatest]);
    assert_eq!(packing.unpack(keys[1]), [0, 1]);
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    assert_eq!(Packing::new(&[u32::MAX, u32::MAX, 2]), Err(KernelError::KeyTooWide { bits: 65 }));
    let packing = Packing::new(&[4, 4]).expect("4 bits");
    assert_eq!(packing.pack(&[&[1]]), Err(KernelError::ColumnCount { expected: 2, given: 1 }));
    assert_eq!(packing.pack(&[&[1], &[1, 2]]), Err(KernelError::ColumnLength { expected: 1, given: 2 }));
    let refused = packing.pack(&[&[1, 2], &[3, 4]]).expect_err("4 is the fifth code");
    assert_eq!(refused, KernelError::CodeOutOfRange { column: 1, row: 1, code: 4, cardinality: 4 });
    assert_eq!(refused.to_string(), "row `1` of column `1` holds code `4`, its dictionary has `4` entries");
    let classes = cpu::class_sizes(&[1, 2]).expect("few rows");
    assert_eq!(cpu::distinct_values(&classes, &[1]), Err(KernelError::ColumnLength { expected: 2, given: 1 }));
}
