//! A slice of the floor: the same events, sent to the bare durable log for a short time.

use crate::floor::Floor;
use crate::population::Feeds;
use crate::process::own_cpu;
use crate::scenario::RunEnvironment;
use crate::scenario::feeding;
use anyhow::{Result, ensure};
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;

/// What the floor did in a slice.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct FloorSlice {
    /// Number of synced events, and of their bytes.
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) took_s: f64,
    /// Processor time of the floor, and of this generator, in seconds.
    pub(super) cpu_s: f64,
    pub(super) own_cpu_s: f64,
    /// Bytes that the floor's process wrote to the disk.
    pub(super) written: u64,
    pub(super) per_second: Vec<u64>,
}

impl FloorSlice {
    /// Starts the floor and feeds it for `length`.
    pub(super) async fn measure(environment: &RunEnvironment, feeds: Rc<Feeds>, length: Duration) -> Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let floor = Floor::start(&environment.baseline, &environment.scratch, workers)?;
        let own_before = own_cpu();
        let fed = feeding::feed(floor.process.listen, "token", feeds, length, |_| {}).await?;
        ensure!(fed.tally.acknowledged() == fed.sent, "the bare log lost events: {:?} of {}", fed.tally, fed.sent);
        Ok(Self {
            events: fed.sent,
            bytes: fed.bytes,
            took_s: fed.took.as_secs_f64(),
            cpu_s: floor.process.cpu().as_secs_f64(),
            own_cpu_s: (own_cpu() - own_before).as_secs_f64(),
            written: floor.process.written(),
            per_second: fed.per_second,
        })
    }

    /// Returns the number of events per second.
    pub(super) fn rate(&self) -> f64 {
        self.events as f64 / self.took_s
    }

    /// Returns several slices as one.
    pub(super) fn sum(slices: &[Self]) -> Self {
        slices.iter().fold(Self::default(), |sum, slice| Self {
            events: sum.events + slice.events,
            bytes: sum.bytes + slice.bytes,
            took_s: sum.took_s + slice.took_s,
            cpu_s: sum.cpu_s + slice.cpu_s,
            own_cpu_s: sum.own_cpu_s + slice.own_cpu_s,
            written: sum.written + slice.written,
            per_second: [sum.per_second, slice.per_second.clone()].concat(),
        })
    }
}
