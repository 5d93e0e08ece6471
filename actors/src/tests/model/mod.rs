//! The commit protocol under thousands of random schedules.
//!
//! A seed decides everything: which events and questions come, which part runs next and for how long, which commits
//! fail and how, which actors die, when the day turns. The checks are those of the protocol: reads-your-writes, no
//! fork, no lost or double answer, no stale or uncommitted view, and subscribers whose document is a view after every
//! frame.

mod checks;
mod erasing;
mod late_reader;
mod schedule;
mod subscriber;

use std::panic::{AssertUnwindSafe, catch_unwind};

use erasing::{ErasingSchedule, ErasingTally};
use schedule::Schedule;

/// Runs the schedules of many seeds. A failure names its seed: `MODEL_SEED` runs that one alone. `MODEL_SCHEDULES` sets
/// the number of schedules.
#[test]
#[expect(clippy::print_stdout, reason = "prints the tally; shown with --nocapture")]
fn the_commit_protocol_holds_under_random_schedules() {
    let seed = number("MODEL_SEED");
    let first = seed.unwrap_or(1);
    let count = if seed.is_some() { 1 } else { number("MODEL_SCHEDULES").unwrap_or(2_000) };
    hide_injected_panics();
    let mut tally = schedule::Tally::default();
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| super::harness::run(async { Schedule::new(seed).run().await }))) {
            Ok(one) => tally.add(&one),
            Err(_) => panic!("schedule of seed {seed} failed: run it alone with MODEL_SEED={seed}"),
        }
    }
    println!("schedules {first}..{}: {tally:?}", first + count);
    if count >= 500 {
        tally.everything_happened();
    }
}

/// `MODEL_SEED` and `MODEL_SCHEDULES` work here, too.
#[test]
#[expect(clippy::print_stdout, reason = "prints the tally; shown with --nocapture")]
fn rows_follow_users_who_are_erased_and_return_under_random_schedules() {
    let seed = number("MODEL_SEED");
    let first = seed.unwrap_or(1);
    let count = if seed.is_some() { 1 } else { number("MODEL_SCHEDULES").unwrap_or(1_000) };
    hide_injected_panics();
    let mut tally = ErasingTally::default();
    for seed in first..first + count {
        let run = || super::harness::run(async { ErasingSchedule::new(seed).run().await });
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(one) => tally.add(&one),
            Err(_) => panic!("schedule of seed {seed} failed: run it alone with MODEL_SEED={seed}"),
        }
    }
    println!("schedules {first}..{}: {tally:?}", first + count);
    assert!(
        count < 500 || tally.counts().iter().all(|times| *times >= 20),
        "something happened hardly ever: {tally:?}"
    );
}

/// Thousands of panics are injected: their reports would bury the one that matters.
fn hide_injected_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let injected = panic.payload().downcast_ref::<&str>().is_some_and(|text| *text == "injected");
        if !injected {
            report(panic);
        }
    }));
}

#[expect(clippy::disallowed_methods, reason = "the test's own setting: which seeds, and how many")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
