//! Latencies, in a histogram with three significant digits.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// A histogram of durations in nanoseconds.
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    /// Makes an empty histogram.
    pub(crate) fn new() -> Self {
        const LONGEST: u64 = 3_600 * 1_000_000_000;
        // hdrhistogram allows 0 to 5 digits.
        Self(Histogram::new_with_max(LONGEST, 3).unwrap_or_else(|_| unreachable!("an hour at 3 digits is allowed")))
    }

    /// Adds one measurement.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds the measurements of another histogram.
    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same range and number of digits.
        let _ = self.0.add(&other.0);
    }

    /// Returns the number of measurements.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the value at a quantile from 0 to 1, in milliseconds.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }

    /// Returns the figures for a report.
    pub(crate) fn summary(&self) -> LatencySummary {
        LatencySummary {
            count: self.count(),
            p50_ms: self.ms(0.5),
            p90_ms: self.ms(0.9),
            p95_ms: self.ms(0.95),
            p99_ms: self.ms(0.99),
            p999_ms: self.ms(0.999),
            max_ms: self.0.max() as f64 / 1e6,
        }
    }
}

/// The usual quantiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LatencySummary {
    /// Number of measurements.
    pub(crate) count: u64,
    /// The median.
    pub p50_ms: f64,
    /// One in ten took longer.
    pub p90_ms: f64,
    /// One in twenty took longer.
    pub p95_ms: f64,
    /// One in a hundred took longer.
    pub p99_ms: f64,
    /// One in a thousand took longer.
    pub p999_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::new();
        for micros in 1..=1_000 {
            latency.record(Duration::from_micros(micros));
        }
        let summary = latency.summary();
        assert_eq!(summary.count, 1_000);
        for (measured, expected) in [(summary.p50_ms, 0.5), (summary.p99_ms, 0.99), (summary.max_ms, 1.0)] {
            assert!((measured / expected - 1.0).abs() < 0.002, "{measured} is not {expected}");
        }
        let mut twice = Latency::new();
        twice.add(&latency);
        twice.add(&latency);
        assert_eq!((twice.count(), twice.ms(0.5)), (2_000, latency.ms(0.5)));
        latency.record(Duration::from_secs(7_200));
        assert!(latency.ms(1.0) >= 3_599_000.0, "beyond the range counts as its end");
    }
}
