//! Runs the operations whose instructions `make guard` counts. Without valgrind it only says what they are.
//!
//! ```text
//! valgrind --tool=callgrind --dump-before='*count_starts_or_stops*' guard_instructions
//! ```
//!
//! Callgrind writes what was executed since the last call of `count_starts_or_stops` to a file and counts from 0 again: every second
//! file is that of a counted operation. The program prints their names in that order, each with the number of operations.
#![expect(clippy::print_stdout, reason = "it prints what it counts")]

#[path = "../merge_bench/ports.rs"]
mod ports;

#[path = "../guard/mod.rs"]
mod guard;

use std::hint::black_box;

use guard::meter::Meter;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Marks for callgrind where a count starts or stops.
#[inline(never)]
fn count_starts_or_stops() {
    black_box(());
}

struct Callgrind;

impl Meter for Callgrind {
    fn start(&mut self) {
        count_starts_or_stops();
    }

    fn stop(&mut self, name: &str, operations: usize) {
        count_starts_or_stops();
        println!("{operations} {name}");
    }
}

fn main() -> std::io::Result<()> {
    guard::count(&mut Callgrind).map(drop)
}
