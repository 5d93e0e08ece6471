//! Live state: one actix actor per active user.
//!
//! A table of contents, in reading order. [`Profiles`] is the handle that the front door holds; everything behind it
//! follows the commit protocol: permit, merge, journal, and only then head, publication and answer.

mod error;
mod flights;
mod options;
mod ports;
mod profiles;

pub mod outlet;
mod reply;
mod view_cache;

mod priority;
mod roster;
mod turn;

mod profile;

pub mod follower;

mod commit;
mod existence;
mod hydration;

mod compact;
mod cursor_cipher;

mod day_roller;
mod head;
mod hot_ring;
pub mod metric;
mod shared;
mod slots;
mod today;

#[cfg(test)]
mod tests;

pub use error::{Busy, ReadError, WriteError};
pub use options::Options;
pub use ports::Ports;
pub use profile::{Completeness, Subscription, UserCounters};
pub use profiles::{Counters, Profiles};
pub use reply::{EventResult, Reply, Status};
pub use view_cache::View;
