//! Prints how many rows the kernels compute in a second of processor time, the pseudonyms beside a plain loop of the crate
//! `hmac`: `cargo run --release -p kernels --example kernels_bench -- [rows]`. Processor time is that of all threads, so that other
//! programs on the machine matter little.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use hmac::{Hmac, KeyInit, Mac};
use kernels::cpu::{self, Hashing};
use kernels::{Backend, Cpu, Generalisation, GroupColumn, Level, MeasureColumn, PseudonymKey, SensitiveColumn, Texts};
use std::hint::black_box;
use std::time::Duration;

/// Six quasi-identifiers: age bracket, gender, state, income bracket, employment type, category.
const CARDINALITIES: [u32; 6] = [5, 4, 36, 5, 7, 5];

fn main() {
    let rows = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().expect("a number of rows"));
    println!("{rows} rows, {} threads; best of 9, by processor time", rayon::current_num_threads());
    pseudonyms(rows);
    classes(rows);
    aggregates(rows);
}

fn pseudonyms(rows: usize) {
    let ids: Vec<u8> = (0..rows).flat_map(|row| format!("prf_{row:032x}").into_bytes()).collect();
    let texts = Texts::fixed(&ids, 36).expect("a multiple");
    let key = [7; 32];
    let plain = best(|| {
        for row in 0..rows {
            let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&key).expect("any length");
            mac.update(texts.get(row));
            black_box(mac.finalize());
        }
    });
    println!("\npseudonyms of 36 bytes ({:?} is chosen)", Hashing::fastest());
    print_rate("crate hmac", rows, plain, plain);
    let prepared = PseudonymKey::new(&key);
    for hashing in [Hashing::OneByOne, Hashing::Lanes] {
        let backend = Cpu::with_hashing(hashing);
        print_rate(
            &format!("{hashing:?}"),
            rows,
            best(|| drop(black_box(backend.pseudonyms(&prepared, &texts)))),
            plain,
        );
    }
}

fn classes(rows: usize) {
    let columns = CARDINALITIES.map(|cardinality| column(rows, cardinality, u64::from(cardinality)));
    let columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
    let values = column(rows, 7, 77);
    let sensitive = [SensitiveColumn { codes: &values, cardinality: 7 }];
    let levels = CARDINALITIES.map(Level::identity).to_vec();
    let generalisation = Generalisation::new(levels).expect("fits into 64 bits");
    let table = || Cpu::new().row_classes(&generalisation, &columns, &sensitive).expect("codes in range");
    println!("\nclasses of 6 quasi-identifiers, {} of them", table().classes.len());
    let whole = best(|| drop(black_box(table())));
    print_rate("packed, grouped, one sensitive column", rows, whole, whole);
    let keys = generalisation.packing().pack(&columns).expect("codes in range");
    let work = || drop(black_box(cpu::class_sizes(&keys)));
    print_rate("grouped only", rows, best(work), whole);
    let unique: Vec<u64> = (0..rows as u64).map(|row| row.wrapping_mul(0xD6E8_FEB8_6659_FD93)).collect();
    print_rate("grouped only, all rows different", rows, best(|| drop(black_box(cpu::class_sizes(&unique)))), whole);
}

fn aggregates(rows: usize) {
    let group_of_row = column(rows, 600, 9);
    let values: Vec<i64> = column(rows, 10_000, 11).into_iter().map(i64::from).collect();
    let edges: Vec<i64> = (1..20).map(|edge| edge * 500).collect();
    let groups = GroupColumn { group_of_row: &group_of_row, groups: 600 };
    let measure = MeasureColumn { values: &values, low: 0, high: 9_000, edges: &edges };
    let took = best(|| drop(black_box(Cpu::new().aggregates(&groups, &[measure]))));
    println!("\naggregates of 600 groups, one measure of 20 bins");
    print_rate("rows, sums and bins", rows, took, took);
}

fn print_rate(what: &str, rows: usize, took: Duration, beside: Duration) {
    let rate = rows as f64 / took.as_secs_f64() / 1e6;
    println!("  {what:<40}{rate:>8.1} M rows/s of a core{:>8.2} ×", beside.as_secs_f64() / took.as_secs_f64());
}

/// Codes with the skew of real populations: small codes are the frequent ones.
fn column(rows: usize, cardinality: u32, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let codes = (0..rows).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        (uniform * uniform * f64::from(cardinality)) as u32
    });
    codes.collect()
}

/// Returns the least processor time of nine runs.
fn best(work: impl Fn()) -> Duration {
    let times = (0..9).map(|_| {
        let start = processor_time();
        work();
        processor_time() - start
    });
    times.min().unwrap_or_default()
}

/// Returns the processor time of all threads of this process, as Linux counts it.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let nanoseconds = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}
