//! Measures the stages of a re-merge, and the memory of a live actor. Run it with `--release`.
//!
//! ```text
//! cargo run --release -p actors --example merge_bench [LIVE_ACTORS]
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
    let actors = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    stages::measure();
    actix_rt::System::new().block_on(live::measure(actors))
}
