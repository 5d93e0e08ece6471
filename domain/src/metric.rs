//! Names and meanings of metrics: each crate that records metrics lists them in one table.
//!
//! The description given to Prometheus and docs/metrics.md are made from these tables.

/// The kind of a metric, as Prometheus has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows while the server runs.
    Counter,
    /// A gauge: a number that can rise and fall.
    Gauge,
    /// How many observations fell below each of some bounds.
    Histogram,
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// A plain count, without a unit.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Percent, 0 to 100.
    Percent,
}

/// The name, kind, unit and labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, as Prometheus shows it.
    pub name: &'static str,
    /// The kind of the metric.
    pub kind: MetricKind,
    /// The unit of the values.
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
