//! An honest load generator: it schedules what it sends and counts latency from the schedule, compares with a bare
//! handler in the same run, and prints what was measured beside what was wanted.
//!
//! It speaks HTTP and WebSocket only. In reading order:

pub mod cli;
mod scenario;

mod attack;
mod baseline;
mod disk;
mod population;
mod random;
mod server;

mod drive;
mod exposition;
mod http;
mod latency;
mod pace;

mod progress;
mod report;
mod wall_clock;

#[cfg(test)]
mod fake;
