//! The table of the metrics of HTTP, live sockets and logs; and the recorder, which describes the metrics of all
//! crates.

use std::time::Duration;

use domain::metric::{Metric, MetricKind, MetricUnit};
use metrics::{Counter, Gauge, Histogram, Unit};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

domain::metric_table! {
    REQUESTS = Counter "profile_http_requests_total" ["route", "method", "status"] Count: "Requests answered, by route, method and status.";
    REQUEST_DURATION = Histogram "profile_http_request_duration_seconds" ["route"] Seconds: "Time from a request's head to its response's head.";
    CONNECTIONS = Gauge "profile_http_connections" ["listener"] Count: "Connections that are open now, by listener: `public` or `admin`.";
    CONNECTIONS_REFUSED = Counter "profile_http_connections_refused_total" ["listener", "limit"] Count: "Connections that were refused, by listener and by the limit that was reached: `connections` or `address`.";
    IN_FLIGHT_BYTES = Gauge "profile_http_in_flight_bytes" [] Bytes: "Bytes of request bodies and feed answers that are held in memory.";
    FEED_EVENTS = Counter "profile_feed_events_total" ["source", "status"] Count: "Feed events, by source and by what became of them.";
    LIVE_CONNECTIONS = Gauge "profile_live_connections" [] Count: "Live sockets and streams that are open now.";
    LIVE_CLOSED = Counter "profile_live_closed_total" ["reason"] Count: "Live sockets that ended, by reason.";
    RATE_LIMITED = Counter "profile_rate_limited_total" ["class"] Count: "Requests that a rate limit refused, by class: one of `limits.toml`, or `failures`, `anonymous` or `flood`.";
    ERASURES = Counter "profile_erasures_total" ["outcome"] Count: "Erasures, by what became of them: `scheduled`, `undone`, `finished`, or `failed` for a try that is repeated.";
    ERASURES_WAITING = Gauge "profile_erasures_waiting" ["state"] Count: "Erasures that are not finished: `scheduled` for the end of a retention, or `unfinished` ones that are tried again.";
    REDACTIONS = Counter "profile_redactions_total" ["kind"] Count: "Sensitive values that were replaced in log lines, by kind.";
    KEY_AGE = Gauge "profile_key_age_seconds" ["key"] Seconds: "Age of the oldest key of a kind: `master`, `ring`, `development_secret`, `token_key`, or `service_token` for tokens of services that were accepted.";
    LOG_LINES_LOST = Counter "profile_log_lines_lost_total" [] Count: "Log lines that could not be written to stderr.";
}

/// Returns the counter of answered requests by route, method and status.
pub(crate) fn requests(route: &'static str, method: &'static str, status: u16) -> Counter {
    counter!(REQUESTS.name, "route" => route, "method" => method, "status" => status.to_string())
}

/// Returns the histogram of the durations of a route's requests.
pub(crate) fn request_duration(route: &'static str) -> Histogram {
    histogram!(REQUEST_DURATION.name, "route" => route)
}

/// Returns the gauge of the bytes of request bodies and feed answers in memory.
pub(crate) fn in_flight_bytes() -> Gauge {
    gauge!(IN_FLIGHT_BYTES.name)
}

/// Returns the gauge of a listener's open connections.
pub(crate) fn connections(listener: &'static str) -> Gauge {
    gauge!(CONNECTIONS.name, "listener" => listener)
}

/// Returns the counter of connections that a listener refused, by the limit that was reached.
pub(crate) fn connections_refused(listener: &'static str, limit: &'static str) -> Counter {
    counter!(CONNECTIONS_REFUSED.name, "listener" => listener, "limit" => limit)
}

/// Returns the counter of feed events by source and status.
pub(crate) fn feed_events(source: &'static str, status: &'static str) -> Counter {
    counter!(FEED_EVENTS.name, "source" => source, "status" => status)
}

/// Returns the gauge of the age of a kind of keys.
pub(crate) fn key_age(kind: &'static str) -> Gauge {
    gauge!(KEY_AGE.name, "key" => kind)
}

/// Returns the gauge of open live sockets and profile streams.
pub(crate) fn live_connections() -> Gauge {
    gauge!(LIVE_CONNECTIONS.name)
}

/// Why a live socket has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveEndReason {
    /// The client has closed it or is gone.
    Client,
    /// The caller's token has expired.
    Expired,
    /// The client has sent nothing for too long.
    Silent,
    /// The client has not read what was sent.
    Stuck,
    /// The client has broken the protocol.
    Protocol,
    /// The server is stopping.
    Stopping,
}

/// Returns the counter of live sockets that have ended, by reason.
pub(crate) fn live_closed(closed: LiveEndReason) -> Counter {
    let reason = match closed {
        LiveEndReason::Client => "client",
        LiveEndReason::Expired => "expired",
        LiveEndReason::Silent => "silent",
        LiveEndReason::Stuck => "stuck",
        LiveEndReason::Protocol => "protocol",
        LiveEndReason::Stopping => "stopping",
    };
    counter!(LIVE_CLOSED.name, "reason" => reason)
}

/// Returns the counter of requests that the limit of a class refused.
pub(crate) fn rate_limited(class: &'static str) -> Counter {
    counter!(RATE_LIMITED.name, "class" => class)
}

/// Returns the counter of erasures by what became of them.
pub(crate) fn erasures(outcome: &'static str) -> Counter {
    counter!(ERASURES.name, "outcome" => outcome)
}

/// Returns the gauge of erasures that are not finished, by their state.
pub(crate) fn erasures_waiting(state: &'static str) -> Gauge {
    gauge!(ERASURES_WAITING.name, "state" => state)
}

/// Returns the counter of values that the redaction layer replaced, by kind.
pub(super) fn redactions(kind: &'static str) -> Counter {
    counter!(REDACTIONS.name, "kind" => kind)
}

/// Returns the counter of log lines that could not be written.
pub(super) fn log_lines_lost() -> Counter {
    counter!(LOG_LINES_LOST.name)
}

/// Buckets of durations, in seconds: from 50 µs to 30 s.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0,
    30.0,
];
/// Buckets of counts and bytes: the powers of two up to 64 Ki.
const SIZES: [f64; 17] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0,
    65536.0,
];
/// Buckets of percentages.
const PERCENT: [f64; 10] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];

/// Installs the recorder for the whole process.
///
/// # Errors
/// A recorder is already installed in this process.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &SIZES)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES)?
        .set_buckets_for_metric(Matcher::Suffix("_pct".to_owned()), &PERCENT)?
        .upkeep_timeout(Duration::from_secs(5))
        .install_recorder()?;
    all().for_each(describe);
    Ok(handle)
}

/// Returns the metrics of all crates.
pub(super) fn all() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(actors::metric::METRICS).chain(store::metric::METRICS)
}

/// Registers the description and unit of a metric.
fn describe(metric: &Metric) {
    let unit = match metric.unit {
        MetricUnit::Count => Unit::Count,
        MetricUnit::Seconds => Unit::Seconds,
        MetricUnit::Bytes => Unit::Bytes,
        MetricUnit::Percent => Unit::Percent,
    };
    match metric.kind {
        MetricKind::Counter => describe_counter!(metric.name, unit, metric.help),
        MetricKind::Gauge => describe_gauge!(metric.name, unit, metric.help),
        MetricKind::Histogram => describe_histogram!(metric.name, unit, metric.help),
    }
}
