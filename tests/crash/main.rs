//! Crash tests: the real server in its own process is killed, or meets a failing disk, at random moments. Everything
//! that it acknowledged must be there after the next start, which needs no help.
//!
//! `CRASH_SEED` chooses events and moments; a run prints its own. The moments are delays, so a seed repeats the
//! traffic exactly, and the moments of the kills nearly. `CRASH_ROUNDS` says how often the test of erasures kills.

mod client;
mod disk;
mod faults;
mod feed;
mod harness;
#[path = "../support/http.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the server tests, which use other parts and may unwrap")]
mod http;
mod kill_at_start;
mod kill_audit;
mod kill_erasures;
mod kill_under_load;
mod ledger;
mod load;
mod torn;
mod verify;

/// The random events of the law tests: every type, with withdrawals and claimed kinds.
#[path = "../law"]
#[allow(dead_code, reason = "the law tests use more of them")]
mod law {
    pub(crate) mod events;
    pub(crate) mod random;
}
use law::{events, random};

/// Returns the seed of this run, different for each test.
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn seeded(test: &str) -> random::Random {
    let seed: u64 = match std::env::var("CRASH_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`CRASH_SEED` is not a whole number: `{text}`")),
        Err(_) => 20_260_121,
    };
    print_line(&format!("{test}: CRASH_SEED={seed}"));
    random::Random(test.bytes().fold(seed, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into())))
}

/// Returns the number of rounds of a test: `CRASH_ROUNDS`, or else `few`.
#[expect(clippy::disallowed_methods, reason = "a test takes its length from the environment")]
fn rounds(few: usize) -> usize {
    match std::env::var("CRASH_ROUNDS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`CRASH_ROUNDS` is not a whole number: `{text}`")),
        Err(_) => few,
    }
}

/// Prints what a run did. It is shown on failure, or with `--nocapture`.
#[expect(clippy::print_stderr, reason = "seeds and figures are for people")]
fn print_line(line: &str) {
    eprintln!("{line}");
}
