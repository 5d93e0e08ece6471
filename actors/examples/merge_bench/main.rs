//! Measures the stages of a re-merge, the memory of a warm user, and events to hot and to warm users. Run it with `--release`.
//!
//! ```text
//! cargo run --release -p actors --example merge_bench [USERS [EVENTS]]
//! ```
//!
//! With `EVENTS` it only fills the users and sends so many events to warm ones. The instructions of an event are those of two
//! runs under callgrind, one without events, divided by their number:
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/merge_bench 4000 0
//! valgrind --tool=callgrind target/release/examples/merge_bench 4000 20000
//! ```
//!
//! The events are those of the generated population. Times are medians on one thread. Memory is the resident set with the
//! server's allocator, as the operating system counts it.
#![expect(clippy::print_stdout, reason = "it prints figures")]

mod live;
mod ports;
mod stages;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::io::Result<()> {
    let number = |index| std::env::args().nth(index).and_then(|text| text.parse().ok());
    let (users, events) = (number(1).unwrap_or(100_000), number(2));
    if events.is_none() {
        stages::measure();
    }
    actix_rt::System::new().block_on(live::measure(users, events))
}
