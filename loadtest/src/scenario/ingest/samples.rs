//! What is seen of the server during a run, second by second.

use super::journal::JournalGrowth;
use crate::exposition::Exposition;
use crate::server::Server;
use anyhow::Result;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// One observation.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the start.
    pub(crate) second: f64,
    /// Number of events that the server has accepted so far.
    pub(crate) events: f64,
    /// Resident memory in bytes.
    pub(crate) memory: u64,
    /// Allocated bytes of the data directory, and those of its journal.
    pub(crate) disk: u64,
    pub(crate) journal: u64,
    /// Bytes of the journal that are not written to the store yet.
    pub(crate) checkpoint_lag: f64,
    /// Number of users with an actor.
    pub(crate) live_users: f64,
    /// Processor time of the server so far, in seconds.
    pub(crate) cpu_s: f64,
}

/// The observations of a run.
pub(crate) struct Samples {
    start: Instant,
    pub(crate) list: Vec<Sample>,
    pub(super) journal: JournalGrowth,
}

impl Samples {
    /// Starts an empty list.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), list: Vec::new(), journal: JournalGrowth::default() }
    }

    /// Adds an observation every second. Ends only with an error.
    pub(crate) async fn record(&mut self, server: &Server) -> Result<()> {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.add(server).await?;
        }
    }

    /// Adds an observation.
    pub(crate) async fn add(&mut self, server: &Server) -> Result<()> {
        let metrics = Exposition::scrape(server.admin_listen()?).await?;
        self.journal.look(server.data_dir());
        let gauge = |name| metrics.sum(name, &[]).unwrap_or_default();
        self.list.push(Sample {
            second: self.start.elapsed().as_secs_f64(),
            events: accepted_events(&metrics),
            memory: server.running().memory(),
            disk: server.allocated(),
            journal: self.journal.present(),
            checkpoint_lag: gauge("profile_checkpoint_lag_bytes"),
            live_users: gauge("profile_actors_live"),
            cpu_s: server.running().cpu().as_secs_f64(),
        });
        Ok(())
    }
}

/// Returns the number of events that were neither rejected nor answered `busy`.
fn accepted_events(metrics: &Exposition) -> f64 {
    const EVENTS: &str = "profile_feed_events_total";
    let count = |labels: &[(&str, &str)]| metrics.sum(EVENTS, labels).unwrap_or_default();
    count(&[]) - count(&[("status", "rejected")]) - count(&[("status", "busy")])
}

/// Returns the lowest rate among ten intervals of equal length; `None` if there are less than a sample per interval.
pub(crate) fn slowest_tenth(samples: &[Sample]) -> Option<f64> {
    const PARTS: usize = 10;
    let (first, last) = (samples.first()?, samples.last()?);
    let length = (last.second - first.second) / PARTS as f64;
    let at = |part: usize| events_at(samples, first.second + length * part as f64);
    let rates = (0..PARTS).map(|part| (at(part + 1) - at(part)) / length);
    rates.reduce(f64::min).filter(|_| samples.len() > PARTS)
}

/// Returns the number of events at a time, as if they were evenly spread between two samples.
fn events_at(samples: &[Sample], second: f64) -> f64 {
    let after = samples.partition_point(|sample| sample.second < second).clamp(1, samples.len() - 1);
    let (before, after) = (&samples[after - 1], &samples[after]);
    let share = (second - before.second) / (after.second - before.second);
    before.events + (after.events - before.events) * share.clamp(0.0, 1.0)
}

/// Returns the resident memory in the last tenth of the samples in proportion to that of the tenth before the middle.
pub(crate) fn memory_growth(samples: &[Sample]) -> Option<f64> {
    let tenth = samples.len() / 10;
    let mean = |samples: &[Sample]| samples.iter().map(|sample| sample.memory as f64).sum::<f64>() / tenth as f64;
    let middle = samples.len() / 2;
    (tenth > 0).then(|| mean(&samples[samples.len() - tenth..]) / mean(&samples[middle - tenth..middle]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rate: impl Fn(usize) -> f64, memory: impl Fn(usize) -> u64) -> Vec<Sample> {
        let mut events = 0.0;
        let sample = |second: usize| {
            events += rate(second);
            Sample { second: second as f64, events, memory: memory(second), ..Sample::default() }
        };
        (0..=60).map(sample).collect()
    }

    #[test]
    fn the_slowest_tenth_is_found_wherever_samples_lie() {
        let steady = series(|_| 10.0, |_| 1);
        assert_eq!(slowest_tenth(&steady), Some(10.0));
        assert_eq!(slowest_tenth(&steady[..11]).map(f64::round), Some(10.0));
        assert_eq!(slowest_tenth(&steady[..10]), None);
        let dip = series(|second| if (13..=18).contains(&second) { 2.0 } else { 10.0 }, |_| 1);
        assert_eq!(slowest_tenth(&dip), Some(2.0));
        let sparse: Vec<Sample> = dip.iter().step_by(5).copied().collect();
        let slowest = slowest_tenth(&sparse).expect("a rate");
        assert!((2.0..6.0).contains(&slowest), "{slowest}");
    }

    #[test]
    fn memory_that_grows_after_the_middle_is_seen() {
        assert_eq!(memory_growth(&series(|_| 1.0, |second| if second < 20 { 1 } else { 100 })), Some(1.0));
        assert_eq!(memory_growth(&series(|_| 1.0, |second| if second < 40 { 100 } else { 150 })), Some(1.5));
        assert_eq!(memory_growth(&[]), None);
    }

    #[test]
    fn accepted_events_are_counted_over_sources() {
        let metrics = Exposition::parse(
            "profile_feed_events_total{source=\"identity\",status=\"applied\"} 70\n\
             profile_feed_events_total{source=\"self\",status=\"unchanged\"} 9\n\
             profile_feed_events_total{source=\"self\",status=\"rejected\"} 5\n\
             profile_feed_events_total{source=\"identity\",status=\"busy\"} 3\n",
        );
        assert_eq!(accepted_events(&metrics), 79.0);
    }
}
