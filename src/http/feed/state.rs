//! State of the handler of feed events.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actors::Profiles;
use domain::port::clock::Clock;
use domain::port::dead_letters::DeadLetters;
use domain::rules::Rules;
use tokio::sync::watch;

use super::metrics::FeedMetrics;
use super::spool::SpoolSpace;
use crate::http::request::caller::Verifier;
use crate::http::request::in_flight::InFlight;

/// State of `POST /api/v2/feeds/{source}`.
pub(crate) struct FeedState {
    pub(crate) profiles: Profiles,
    pub(crate) verifier: Arc<Verifier>,
    /// The rules of validation.
    pub(crate) rules: Arc<Rules>,
    /// The clock that the `time` of an event is checked against.
    pub(crate) clock: Arc<dyn Clock>,
    /// Stores rejected events.
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    /// The memory budget of request bodies and feed answers.
    pub(crate) in_flight: InFlight,
    /// Limits of size and time of a request.
    pub(crate) limits: FeedLimits,
    /// Directory of the files with results that clients have not read.
    pub(crate) spool_dir: PathBuf,
    /// The disk space that these files share.
    pub(crate) spool_space: SpoolSpace,
    pub(crate) metrics: FeedMetrics,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Limits of a feed request.
pub(crate) struct FeedLimits {
    /// Maximum size of one event, in bytes.
    pub(crate) max_event_bytes: usize,
    /// Maximum size of a batch, in bytes.
    pub(crate) max_body_bytes: usize,
    /// Maximum size of the results of a batch, in bytes.
    pub(crate) max_answer_bytes: usize,
    /// How long a request other than a stream may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of a body.
    pub(crate) body_timeout: Duration,
}
