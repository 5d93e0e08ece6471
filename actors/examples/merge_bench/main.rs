//! What a re-merge costs, stage by stage, and what a live actor costs in memory. Run it with `--release`.
//!
//! ```text
//! cargo run --release -p actors --example merge_bench [LIVE_ACTORS]
//! ```
//!
//! The events are those of the made-up population. Times are medians on one thread; memory is the resident set, as the
//! operating system counts it, with the server's allocator.
#![expect(clippy::print_stdout, reason = "it prints figures")]

mod live;
mod ports;
mod stages;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::io::Result<()> {
    let actors = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    stages::measure();
    actix_rt::System::new().block_on(live::measure(actors))
}
