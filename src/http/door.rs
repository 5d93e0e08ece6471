//! What every handler shares.

use std::path::PathBuf;
use std::sync::Arc;

use actors::Profiles;
use domain::port::clock::Clock;
use domain::port::dead_letters::DeadLetters;
use domain::rules::Rules;
use tokio::sync::watch;

use super::caller::Verifier;
use super::feed::{FeedMetrics, SpoolSpace};
use super::in_flight::InFlight;
use crate::live::{Sockets, Tickets};

/// Everything behind the front door.
pub(crate) struct Door {
    /// The live state.
    pub(crate) profiles: Profiles,
    /// Knows callers by their tokens.
    pub(crate) verifier: Verifier,
    /// The rules of validation.
    pub(crate) rules: Arc<Rules>,
    /// The time that the check of an event's `time` reads.
    pub(crate) clock: Arc<dyn Clock>,
    /// Keeps rejected events.
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    /// How the store is.
    pub(crate) store: store::Status,
    /// The store's epoch, part of every ETag.
    pub(crate) epoch: u64,
    /// Where answers wait that a client does not read.
    pub(crate) spool_dir: PathBuf,
    /// What the files of all spools hold.
    pub(crate) spool_space: SpoolSpace,
    /// The budget of bodies and answers that are held in memory.
    pub(crate) in_flight: InFlight,
    /// `[http]`
    pub(crate) http: config::Http,
    /// `[live]`
    pub(crate) live: config::Live,
    /// `[events]`
    pub(crate) events: config::Events,
    /// The open sockets.
    pub(crate) sockets: Sockets,
    /// The tickets that open sockets.
    pub(crate) tickets: Arc<Tickets>,
    /// Handles of the feeds' metrics.
    pub(crate) feed_metrics: FeedMetrics,
    /// Turns true when the server is to stop.
    pub(crate) closing: watch::Receiver<bool>,
}

impl Door {
    /// Whether requests can be served: the store can be read and takes writes, and the server is not stopping.
    pub(crate) fn is_ready(&self) -> bool {
        !*self.closing.borrow() && self.store.is_ready() && self.profiles.is_ready()
    }
}
