//! How long validation takes: `cargo run --release -p domain --example validate_speed`.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::hint::black_box;
use std::time::Instant;

use domain::json;
use domain::pipeline::validate::validate;
use domain::rules::Rules;
use domain::source::Source;
use jiff::tz::TimeZone;

const ROUNDS: u32 = 20_000;
/// 2026-01-21T12:00:00Z.
const NOW: i64 = 1_768_996_800_000_000;

fn main() {
    let rules = Rules {
        zone: TimeZone::UTC,
        districts: [("karnataka".to_owned(), ["bengaluru_urban".to_owned()].into())].into(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    };
    println!("{:>6} {:>9} {:>9}  event", "bytes", "parse ns", "all ns");
    for line in include_str!("../../data/example/events.ndjson").lines() {
        let event = json::parse(line.as_bytes(), 64).ok();
        let text = |name| event.as_ref().and_then(|event| event.get(name)?.as_str()).unwrap_or_default();
        let Some(source) = Source::parse(text("source").rsplit('/').next().unwrap_or_default()) else { continue };
        let parse = nanoseconds(|| {
            black_box(json::parse(black_box(line.as_bytes()), 64).is_ok());
        });
        let all = nanoseconds(|| {
            black_box(validate(black_box(line.as_bytes()), source, &rules, NOW).is_ok());
        });
        println!("{:>6} {parse:>9} {all:>9}  {}", line.len(), text("type"));
    }
}

/// Returns the median of five measurements of one call, in nanoseconds.
fn nanoseconds(mut call: impl FnMut()) -> u128 {
    let mut measured = [0; 5].map(|_: u8| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| call());
        start.elapsed().as_nanos() / u128::from(ROUNDS)
    });
    measured.sort_unstable();
    measured[2]
}
