//! Prints how many rows a second the grouping does:
//! `cargo run --release -p kernels --example class_sizes_bench -- [rows]`.

use kernels::{Packing, cpu};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Six quasi-identifiers: age bracket, gender, state, income bracket, employment type, category.
const CARDINALITIES: [u32; 6] = [5, 4, 36, 5, 7, 5];

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn main() {
    let rows = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().expect("a number of rows"));
    let columns = CARDINALITIES.map(|cardinality| column(rows, cardinality, u64::from(cardinality)));
    let columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
    let sensitive = column(rows, 7, 77);
    let packing = Packing::new(&CARDINALITIES).expect("fits into 64 bits");

    let keys = packing.pack(&columns).expect("codes are in range");
    let classes = cpu::class_sizes(&keys).expect("fits into 32 bits");
    println!("{rows} rows, 6 quasi-identifiers, {} classes, one thread; medians of 9", classes.len());
    let rate = |what, took: Duration| println!("{what:<18}{:>8.1} M rows/s", rows as f64 / took.as_secs_f64() / 1e6);
    rate("pack", median(|| drop(black_box(packing.pack(&columns)))));
    rate("class sizes", median(|| drop(black_box(cpu::class_sizes(&keys)))));
    rate("distinct values", median(|| drop(black_box(cpu::distinct_values(&classes, &sensitive)))));
    let unique: Vec<u64> = (0..rows as u64).map(|row| row.wrapping_mul(0xD6E8_FEB8_6659_FD93)).collect();
    rate("all rows unique", median(|| drop(black_box(cpu::class_sizes(&unique)))));
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

fn median(work: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..9).map(|_| time(&work)).collect();
    times.sort_unstable();
    times[4]
}

fn time(work: &impl Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
