//! The counters of feed events.

use domain::source::Source;
use metrics::Counter;

use super::result::FeedStatus;
use crate::telemetry::metric;

/// The counters of `profile_feed_events_total`, one for each source and status.
pub(crate) struct FeedMetrics(Vec<Counter>);

impl FeedMetrics {
    /// Registers the counters of every source and status.
    pub(crate) fn new() -> Self {
        let of_source = |source: Source| FeedStatus::NAMES.map(|status| metric::feed_events(source.name(), status));
        Self(Source::ALL.into_iter().flat_map(of_source).collect())
    }

    /// Counts one event of `source`; `status` is a [`FeedStatus::number`].
    pub(super) fn count(&self, source: Source, status: usize) {
        self.0[source as usize * FeedStatus::NAMES.len() + status].increment(1);
    }
}
