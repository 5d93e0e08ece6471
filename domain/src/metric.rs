//! What a metric is called, counts and means: the crates that record metrics list theirs in one table each.
//!
//! The description given to Prometheus and docs/metrics.md are made from these tables.

/// How a metric's figures come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows while the server runs.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How many observations fell below each of some bounds.
    Histogram,
}

/// What the figures are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// A plain count.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Percent, 0 to 100.
    Percent,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, as Prometheus shows it.
    pub name: &'static str,
    /// How the figures come about.
    pub kind: MetricKind,
    /// What they are counted in.
    pub unit: MetricUnit,
    /// The names of the labels. No label holds anything of a user.
    pub labels: &'static [&'static str],
    /// What is counted: a sentence.
    pub help: &'static str,
}

/// Defines the metrics of a crate, one a line, and the table `METRICS` of all of them.
///
/// ```
/// domain::metric_table! {
///     QUEUE_FULL = Counter "profile_queue_full_total" ["shard"] Count: "Requests that found the queue full.";
/// }
/// assert_eq!(METRICS[0], QUEUE_FULL);
/// ```
#[macro_export]
macro_rules! metric_table {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $unit:ident: $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(crate) const $constant: $crate::metric::Metric = $crate::metric::Metric {
                name: $name,
                kind: $crate::metric::MetricKind::$kind,
                unit: $crate::metric::MetricUnit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// The metrics of this crate.
        pub const METRICS: &[$crate::metric::Metric] = &[$($constant),*];
    };
}
