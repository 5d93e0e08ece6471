//! Counts the allocations of the operations of `make guard`, and the bytes of stored forms and of users in memory.
//!
//! Bytes are those that the program asked its allocator for: unlike the resident set, they are the same in each run.
#![expect(clippy::print_stdout, reason = "it prints what it counts")]

#[path = "../merge_bench/ports.rs"]
mod ports;

#[path = "../guard/mod.rs"]
mod guard;
mod sizes;

use std::alloc::System;

use guard::meter::Meter;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts what is asked for.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts allocations.
#[derive(Default)]
struct Allocations {
    at_start: usize,
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

impl Meter for Allocations {
    fn start(&mut self) {
        self.at_start = allocations();
    }

    fn stop(&mut self, name: &str, operations: usize) {
        let count = allocations() - self.at_start;
        println!("allocations {:.2} {name}", count as f64 / operations as f64);
    }
}

fn main() -> std::io::Result<()> {
    let frames = guard::count(&mut Allocations::default())?;
    sizes::print(frames)
}
