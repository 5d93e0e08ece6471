//! The metrics of the front door, by their names; handles are registered once and kept.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::pattern::Kind;

const REQUESTS: &str = "profile_http_requests_total";
const REQUEST_DURATION: &str = "profile_http_request_duration_seconds";
const IN_FLIGHT_BYTES: &str = "profile_http_in_flight_bytes";
const FEED_EVENTS: &str = "profile_feed_events_total";
const LIVE_CONNECTIONS: &str = "profile_live_connections";
const LIVE_CLOSED: &str = "profile_live_closed_total";
const REDACTIONS: &str = "profile_redactions_total";

/// Requests answered, by route, method and status.
pub(crate) fn requests(route: &'static str, method: &'static str, status: u16) -> Counter {
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status.to_string())
}

/// How long requests of a route took, in seconds.
pub(crate) fn request_duration(route: &'static str) -> Histogram {
    histogram!(REQUEST_DURATION, "route" => route)
}

/// Bytes of request bodies and feed answers that are held in memory.
pub(crate) fn in_flight_bytes() -> Gauge {
    gauge!(IN_FLIGHT_BYTES)
}

/// Feed events, by source and what became of them.
pub(crate) fn feed_events(source: &'static str, status: &'static str) -> Counter {
    counter!(FEED_EVENTS, "source" => source, "status" => status)
}

/// Open live sockets.
pub(crate) fn live_connections() -> Gauge {
    gauge!(LIVE_CONNECTIONS)
}

/// Why a live socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Its client ended it, or is gone.
    Client,
    /// Its token has expired.
    Expired,
    /// Nothing was heard of its client.
    Silent,
    /// Its client did not read.
    Stuck,
    /// Its client broke the protocol.
    Protocol,
    /// The server is stopping.
    Stopping,
}

/// Live sockets that ended, by reason.
pub(crate) fn live_closed(closed: Closed) -> Counter {
    let reason = match closed {
        Closed::Client => "client",
        Closed::Expired => "expired",
        Closed::Silent => "silent",
        Closed::Stuck => "stuck",
        Closed::Protocol => "protocol",
        Closed::Stopping => "stopping",
    };
    counter!(LIVE_CLOSED, "reason" => reason)
}

/// What the redaction layer replaced, by kind.
pub(super) fn redactions(kind: Kind) -> Counter {
    counter!(REDACTIONS, "kind" => kind.name())
}

/// Buckets of durations, in seconds: 50 µs to 30 s.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0,
    30.0,
];
/// Buckets of counts and bytes: powers of two to 64 Ki.
const SIZES: [f64; 17] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0,
    65536.0,
];
const PERCENT: [f64; 10] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];

/// Installs the recorder for the whole process.
///
/// # Errors
/// Another recorder is there already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &SIZES)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES)?
        .set_buckets_for_metric(Matcher::Suffix("_pct".to_owned()), &PERCENT)?
        .upkeep_timeout(Duration::from_secs(5))
        .install_recorder()
}
