//! A load generator that measures latency from a schedule, compares the server with bare handlers in the same run, and
//! prints the figures next to their goals.
//!
//! It speaks HTTP and WebSocket only. In reading order:

pub mod cli;
mod scenario;

mod attack;
mod bare;
mod baseline;
mod disk;
mod floor;
mod population;
mod process;
mod random;
mod server;
mod tally;

mod drive;
mod exposition;
mod http;
mod latency;
mod pace;
mod statistics;

mod progress;
mod report;
mod wall_clock;

#[cfg(test)]
mod fake_server;
