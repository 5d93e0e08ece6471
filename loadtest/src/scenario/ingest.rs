//! Measures durable ingest over NDJSON.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::exposition::Exposition;
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    /// Number of distinct users.
    pub(crate) users: u64,
    seconds: u64,
    templates: u64,
}

impl IngestScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        environment.progress.step(format!("ingest: {} users, up to {} s", self.users, self.seconds));
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(self.users, self.templates));
        let cpu_before = server.running().cpu();
        let start = Instant::now();
        let fed = feeding::feed(server.listen(), &token, feeds, Duration::from_secs(self.seconds), |acknowledged| {
            environment.progress.show(|| {
                let rate = acknowledged as f64 / start.elapsed().as_secs_f64();
                format!("ingest: {acknowledged} events acknowledged, {rate:.0} /s")
            });
        })
        .await?;
        let acknowledged = fed.tally.acknowledged();
        let rejection = fed.first_rejection.as_deref().unwrap_or_default();
        ensure!(acknowledged > 0, "no event was acknowledged: {rejection}");
        let cpu = server.running().cpu() - cpu_before;

        let rate = acknowledged as f64 / fed.took.as_secs_f64();
        report.goal("durable events", rate, "/s", Goal::AtLeast(40_000.0));
        if let Some(slowest) = slowest_part(&fed.per_second) {
            report.figure("  in the slowest of ten parts", slowest, "/s");
        }
        report.figure("  acknowledged", acknowledged as f64, "");
        report.figure("  distinct users", self.users as f64, "");
        report.figure("  over", fed.took.as_secs_f64(), "s");
        report.goal("  busy", fed.tally.busy as f64, "", Goal::AtMost(0.0));
        report.goal("  rejected", fed.tally.rejected as f64, "", Goal::AtMost(0.0));
        report.figure("  mean event", fed.bytes as f64 / fed.sent as f64, "B");
        report.figure("  server's processor time per event", cpu.as_secs_f64() * 1e6 / acknowledged as f64, "µs");
        report.figure("  server's memory (resident)", server.running().memory() as f64 / 1e6, "MB");
        report.figure("  on disk", server.disk() as f64 / 1e6, "MB");
        report.detail("settings", self);
        report.detail("tally", fed.tally);
        report.detail("acknowledged_per_second", &fed.per_second);
        report.detail("first_rejection", &fed.first_rejection);
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        report.figure("  stopped after", server.stop()?.as_secs_f64(), "s");
        Ok(())
    }
}

/// Returns the lowest rate among ten intervals of equal length; `None` for a run under a minute: the server reports
/// progress in thousands of events, which is too coarse for short intervals.
fn slowest_part(per_second: &[u64]) -> Option<f64> {
    const SHORTEST: usize = 6;
    let length = per_second.len() / 10;
    let parts = per_second.chunks_exact(length.max(1)).map(|part| part.iter().sum::<u64>() as f64 / part.len() as f64);
    parts.reduce(f64::min).filter(|_| length >= SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_part_is_found() {
        assert_eq!(slowest_part(&[5; 59]), None);
        let mut seconds = vec![10; 60];
        seconds[12..18].fill(2);
        assert_eq!(slowest_part(&seconds), Some(2.0));
    }
}
