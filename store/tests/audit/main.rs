//! The audit log: what it promises, and every way to rewrite it that has to be found.

#[path = "../kit/clock.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod clock;
#[path = "../kit/faulty_disk.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod faulty_disk;

mod anchoring;
mod clock_jumps;
mod crash;
mod faults;
mod index;
mod kit;
mod power;
mod promises;
mod query;
mod refused;
mod retention;
mod slow;
mod tamper;
mod test_disk;
