//! The law tests: assembly is order-free. The same accepted events, configuration and day give the same profile, byte for
//! byte in canonical form, in any order, duplication and batching.
//!
//! `LAW_SEED` and `LAW_CASES` choose the event sets. A failure prints the two values that reproduce it, and the smallest
//! set of events that was found to fail.

mod events;
mod history;
mod law;
mod live;
mod random;
mod reference;
mod sentences;
mod subject;

use events::Case;
use jiff::civil::Date;
use random::Random;
use reference::Fixture;
use serde_json::Value;

/// One set in this many exceeds the bounds: every seed that this number divides.
const LARGE_EVERY: u64 = 4_000;

#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`{name}` is not a whole number: `{text}`")),
        Err(_) => default,
    }
}

/// Returns the first seed and how many sets follow from it.
fn seeds(default_cases: u64) -> impl Iterator<Item = u64> {
    let first = setting("LAW_SEED", 20_260_000);
    (0..setting("LAW_CASES", default_cases)).map(move |number| first.wrapping_add(number))
}

fn case(seed: u64) -> Case {
    if seed.is_multiple_of(LARGE_EVERY) { Case::large(seed) } else { Case::small(seed) }
}

/// Returns the reference's profile in canonical form.
fn expected(events: &[Value], day: Date, fixture: &Fixture) -> Option<String> {
    let profile = reference::profile(events, day, fixture)?;
    Some(serde_json_canonicalizer::to_string(&profile).expect("canonical form"))
}

/// Returns the example citizen: one event of every type.
fn example_events() -> Vec<Value> {
    data::example_events().lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

#[test]
fn the_reference_is_order_free_by_itself() {
    let fixture = sentences::fixture();
    for seed in seeds(1_000) {
        let Case { mut events, days, .. } = case(seed);
        let before: Vec<_> = days.iter().map(|day| expected(&events, *day, &fixture)).collect();
        let mut random = Random(seed);
        let again = events[random.below(events.len())].clone();
        events.push(again);
        random.shuffle(&mut events);
        for (day, before) in days.iter().zip(before) {
            assert_eq!(before, expected(&events, *day, &fixture), "LAW_SEED={seed} LAW_CASES=1, on {day}");
        }
    }
}
