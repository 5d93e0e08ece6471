//! Live state: one actix actor for each active user.
//!
//! [`Profiles`] is the handle that the server holds. Behind it, every write follows the commit protocol: permit, merge,
//! journal, and only then the new head, publication and the answer.
//!
//! The modules, from the handle down. Each names only modules below it:
//!
//! - `profiles`: the handle. `assemble` and `running`: how the parts are made, started and stopped.
//! - `committer`, `loader`: the commit thread and the hydration threads. `ask`: how callers ask a user's actor, and how
//!   reads are answered. `history`: reads of the past, and their threads. `existence`: denials that do not show whether a user
//!   exists. `snapshots`: how snapshots are taken, listed, read and removed.
//! - `runtime`: the actors and their shards, and what all threads share.
//! - `profile`: one user's live state, without actix. It is called with an environment and returns effects.
//! - `columns`: one row of every user, for what reads all users. `columns_to_save`: what checkpoints save of it.
//! - `roster`, `commit`, `load_queue`, `history_lane`, `follower`: the map of the users in memory, the queues, and the readers of the journal.
//! - `request`, `reply`, `error`, `outlet`, `view_cache`: what is asked, and what is answered. `reading`: the kinds of
//!   read.
//!
//! Words: a user is *hydrated* when its state is loaded and it gets an actor, and *passivated* when it loses it again. A user
//! with an actor is *live*, and *hot* while the actor keeps its state unpacked. A *warm* user has no actor, and its state is
//! in memory as compact bytes. Every other user is *cold*: its state is in the store alone (ADR 0024).
//! The *head* of a user is its newest committed state. An *outlet* is the bounded queue of one live subscriber, and its
//! *class* is the set of leaves that the subscriber may see. A *slot* is an actor's place in its shard.

mod assemble;
mod erasure;
mod error;
mod options;
mod ports;
mod profiles;
mod running;

mod ask;
mod committer;
mod existence;
mod loader;

mod runtime;

mod profile;

pub mod columns;
mod columns_to_save;
mod commit;
pub mod export;
pub mod follower;
pub mod history;
mod history_lane;
mod load;
mod load_queue;
mod roster;
mod row_set;
mod services;
mod shard_event;
pub mod snapshots;

pub mod outlet;
pub mod reading;
mod reply;
mod request;
mod view_cache;

mod compact;
mod cursor_cipher;
mod day_roller;
mod discard;
pub use discard::DiscardedUser;
mod flights;
mod head;
mod hot_ring;
mod look_up;
pub mod metric;
mod priority;
mod shard_key;
mod slots;
mod today;
mod turn;
mod warm_states;

#[cfg(test)]
mod tests;

pub use erasure::EraseError;
pub use error::{Busy, ReadError, WriteError};
pub use options::Options;
pub use ports::Ports;
pub use profiles::{Counters, Profiles};
pub use reading::View;
pub use reply::{EventResult, Reply, Status};
pub use request::{Subscription, UserCounters};
