//! Compares a back end with the CPU on random, empty, skewed and adversarial input.

use crate::inputs::{Random, colliding_keys};
use kernels::{
    Aggregates, Backend, Cpu, Generalisation, GroupColumn, KernelError, Level, MISSING, MeasureColumn, NO_GROUP,
    Pseudonym, PseudonymKey, RowClasses, SensitiveColumn, Texts,
};
use std::fmt::Debug;

/// Numbers of rows around the sizes of blocks and of what a block counts.
const BOUNDARIES: [usize; 10] = [0, 1, 2, 31, 255, 256, 257, 2_047, 2_048, 2_049];

/// Compares everything. Panics at the first difference, with the seed.
pub(crate) fn compare(backend: &dyn Backend, seed: u64) {
    let mut random = Random(seed);
    for rows in BOUNDARIES {
        let about = format!("{rows} rows, seed {seed}");
        check_classes(backend, &mut random, rows, &about);
        check_texts(backend, &mut random, rows.min(600), &about);
        check_groups(backend, &mut random, rows, 5, 3, &about);
    }
    for rows in [300, 3_000] {
        let about = format!("{rows} rows, seed {seed}");
        check_keys(backend, &vec![7; rows], &format!("one class, {about}"));
        check_keys(backend, &random.keys(rows), &format!("all different, {about}"));
        check_keys(backend, &colliding_keys(rows / 10, 512), &format!("all in one slot, {about}"));
    }
    // With and without the shared memory of a block.
    for (groups, edges) in [(1, 0), (512, 3), (513, 0), (600, 4), (3, 900), (0, 2)] {
        check_groups(
            backend,
            &mut random,
            2_500,
            groups,
            edges,
            &format!("{groups} groups, {edges} edges, seed {seed}"),
        );
    }
    check_lengths(backend, seed);
    check_errors(backend, &mut random, seed);
}

/// Compares random input of one size.
pub(crate) fn compare_random(backend: &dyn Backend, seed: u64) {
    let mut random = Random(seed);
    let about = format!("seed {seed}");
    check_classes(backend, &mut random, 700, &about);
    check_texts(backend, &mut random, 300, &about);
    check_groups(backend, &mut random, 700, 9, 2, &about);
}

#[track_caller]
fn same<T: PartialEq + Debug>(device: Result<T, KernelError>, cpu: Result<T, KernelError>, about: &str) {
    match (device, cpu) {
        (Ok(device), Ok(cpu)) => assert!(device == cpu, "the device differs from the CPU: {about}"),
        (device, cpu) => assert_eq!(device.err(), cpu.err(), "{about}"),
    }
}

/// Compares the classes of rows with these keys, which have no half of all ones.
pub(crate) fn check_keys(backend: &dyn Backend, keys: &[u64], about: &str) {
    let half = |shift: u32| keys.iter().map(|key| (key >> shift) as u32).collect();
    let levels = [32, 0].map(|shift| Level::new(half(shift), u32::MAX).expect("no half of all ones"));
    let generalisation = Generalisation::new(levels.to_vec()).expect("64 bits");
    let codes: Vec<u32> = (0..keys.len() as u32).collect();
    let columns: [&[u32]; 2] = [&codes, &codes];
    same(
        backend.row_classes(&generalisation, &columns, &[]),
        Cpu::new().row_classes(&generalisation, &columns, &[]),
        about,
    );
}

fn check_classes(backend: &dyn Backend, random: &mut Random, rows: usize, about: &str) {
    let columns = [7, 1, 40, 3].map(|cardinality| random.codes(rows, cardinality));
    let columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
    let regions = random.codes(40, 6);
    let levels = vec![Level::identity(7), Level::any(1), Level::new(regions, 6).expect("in range"), Level::any(3)];
    let generalisation = Generalisation::new(levels).expect("few bits");
    let sensitive = [1, 5, 33, 200].map(|cardinality| (random.codes(rows, cardinality), cardinality));
    let sensitive: Vec<SensitiveColumn<'_>> =
        sensitive.iter().map(|(codes, cardinality)| SensitiveColumn { codes, cardinality: *cardinality }).collect();
    same(
        backend.row_classes(&generalisation, &columns, &sensitive),
        Cpu::new().row_classes(&generalisation, &columns, &sensitive),
        about,
    );
}

fn check_texts(backend: &dyn Backend, random: &mut Random, rows: usize, about: &str) {
    let key = PseudonymKey::new(&std::array::from_fn(|_| random.next() as u8));
    let (bytes, starts) = random.texts(rows, 70);
    let texts = Texts::variable(&bytes, &starts).expect("ascending");
    same(backend.pseudonyms(&key, &texts), Cpu::new().pseudonyms(&key, &texts), about);
    let bytes: Vec<u8> = (0..rows * 36).map(|_| random.next() as u8).collect();
    let texts = Texts::fixed(&bytes, 36).expect("a multiple");
    same(backend.pseudonyms(&key, &texts), Cpu::new().pseudonyms(&key, &texts), about);
}

/// Compares one text of each length around the ends of blocks.
fn check_lengths(backend: &dyn Backend, seed: u64) {
    let bytes: Vec<u8> = (0..40_000).map(|byte| (byte * 7 + seed as usize) as u8).collect();
    let mut starts = vec![0];
    for length in 0..260 {
        starts.push(starts[starts.len() - 1] + length);
    }
    let texts = Texts::variable(&bytes, &starts).expect("ascending");
    let key = PseudonymKey::new(&[seed as u8; 32]);
    same(backend.pseudonyms(&key, &texts), Cpu::new().pseudonyms(&key, &texts), "texts of 0 to 259 bytes");
}

fn check_groups(backend: &dyn Backend, random: &mut Random, rows: usize, groups: u32, edges: usize, about: &str) {
    let group_of_row: Vec<u32> = (0..rows)
        .map(|_| if groups == 0 || random.below(10) == 0 { NO_GROUP } else { random.below(u64::from(groups)) as u32 })
        .collect();
    let values: Vec<i64> = (0..rows)
        .map(|_| match random.below(20) {
            0 => MISSING,
            1 => i64::MAX,
            2 => i64::MIN + 1,
            _ => random.below(5_000) as i64 - 2_500,
        })
        .collect();
    let edges: Vec<i64> = (0..edges as i64).map(|edge| edge * 4 - 1_000).collect();
    let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
    let measures = [
        MeasureColumn { values: &values, low: -2_000, high: 2_000, edges: &edges },
        MeasureColumn { values: &values, low, high, edges: &[] },
        MeasureColumn { values: &values, low: 5, high: 5, edges: &[5] },
    ];
    let groups = GroupColumn { group_of_row: &group_of_row, groups };
    same(backend.aggregates(&groups, &measures), Cpu::new().aggregates(&groups, &measures), about);
}

/// Compares the errors of input with wrong codes and groups.
fn check_errors(backend: &dyn Backend, random: &mut Random, seed: u64) {
    for attempt in 0..6 {
        let about = format!("wrong codes, attempt {attempt}, seed {seed}");
        let rows = 700;
        let mut columns = [3, 4, 5].map(|cardinality| random.codes(rows, cardinality));
        for _ in 0..attempt {
            let (column, row) = (random.below(3) as usize, random.below(rows as u64) as usize);
            columns[column][row] = 5 + random.below(3) as u32;
        }
        let columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
        let levels = [3, 4, 5].map(Level::identity).to_vec();
        let generalisation = Generalisation::new(levels).expect("few bits");
        let mut values = random.codes(rows, 9);
        values[random.below(rows as u64) as usize] = 9;
        values[random.below(rows as u64) as usize] = u32::MAX;
        let sensitive =
            [SensitiveColumn { codes: columns[0], cardinality: 8 }, SensitiveColumn { codes: &values, cardinality: 9 }];
        same(
            backend.row_classes(&generalisation, &columns, &sensitive),
            Cpu::new().row_classes(&generalisation, &columns, &sensitive),
            &about,
        );
        let mut group_of_row = random.codes(rows, 4);
        group_of_row[random.below(rows as u64) as usize] = 4;
        group_of_row[random.below(rows as u64) as usize] = NO_GROUP - 1;
        let groups = GroupColumn { group_of_row: &group_of_row, groups: 4 };
        same(backend.aggregates(&groups, &[]), Cpu::new().aggregates(&groups, &[]), &about);
    }
}

/// A result of any kernel.
#[derive(Debug, PartialEq)]
pub(crate) enum AnyResult {
    Pseudonyms(Vec<Pseudonym>),
    RowClasses(RowClasses),
    Aggregates(Aggregates),
}

/// A call of one kernel.
pub(crate) type SmallCall = (&'static str, fn(&dyn Backend) -> Result<AnyResult, KernelError>);

/// Each kernel on a few rows.
pub(crate) const SMALL_CALLS: [SmallCall; 3] = [
    ("pseudonyms", |backend| {
        let texts = Texts::fixed(b"firstsecnd", 5)?;
        backend.pseudonyms(&PseudonymKey::new(&[9; 32]), &texts).map(AnyResult::Pseudonyms)
    }),
    ("row_classes", |backend| {
        let generalisation = Generalisation::new(vec![Level::identity(3)])?;
        let sensitive = SensitiveColumn { codes: &[0, 1, 1, 2], cardinality: 3 };
        backend.row_classes(&generalisation, &[&[2, 0, 2, 1]], &[sensitive]).map(AnyResult::RowClasses)
    }),
    ("aggregates", |backend| {
        let groups = GroupColumn { group_of_row: &[1, 0, 1], groups: 2 };
        let measure = MeasureColumn { values: &[5, -5, MISSING], low: -4, high: 4, edges: &[0] };
        backend.aggregates(&groups, &[measure]).map(AnyResult::Aggregates)
    }),
];
