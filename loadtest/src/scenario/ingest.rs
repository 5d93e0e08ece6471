//! Durable ingest over NDJSON.

use super::Bench;
use super::feeding::{self, ALL_FEEDS};
use crate::exposition::Exposition;
use crate::population::Feeds;
use crate::report::{Goal, Outcome};
use crate::server::Server;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingest {
    /// Settings of the server, over its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    /// Distinct users.
    pub(crate) users: u64,
    seconds: u64,
    templates: u64,
}

impl Ingest {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        bench.progress.step(format!("ingest: {} users, up to {} s", self.users, self.seconds));
        let server = Server::start(&bench.server, &bench.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(self.users, self.templates));
        let cpu_before = server.running().cpu();
        let start = Instant::now();
        let fed = feeding::feed(server.listen(), &token, feeds, Duration::from_secs(self.seconds), |acknowledged| {
            bench.progress.show(|| {
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
        outcome.goal("durable events", rate, "/s", Goal::AtLeast(40_000.0));
        if let Some(slowest) = slowest_part(&fed.per_second) {
            outcome.figure("  in the slowest of ten parts", slowest, "/s");
        }
        outcome.figure("  acknowledged", acknowledged as f64, "");
        outcome.figure("  distinct users", self.users as f64, "");
        outcome.figure("  over", fed.took.as_secs_f64(), "s");
        outcome.goal("  busy", fed.tally.busy as f64, "", Goal::AtMost(0.0));
        outcome.goal("  rejected", fed.tally.rejected as f64, "", Goal::AtMost(0.0));
        outcome.figure("  mean event", fed.bytes as f64 / fed.sent as f64, "B");
        outcome.figure("  server's processor time per event", cpu.as_secs_f64() * 1e6 / acknowledged as f64, "µs");
        outcome.figure("  server's memory (resident)", server.running().memory() as f64 / 1e6, "MB");
        outcome.figure("  on disk", server.disk() as f64 / 1e6, "MB");
        outcome.detail("settings", self);
        outcome.detail("tally", fed.tally);
        outcome.detail("acknowledged_per_second", &fed.per_second);
        outcome.detail("first_rejection", &fed.first_rejection);
        outcome.exposition = Exposition::scrape(server.admin_listen()?).await?;
        outcome.figure("  stopped after", server.stop()?.as_secs_f64(), "s");
        Ok(())
    }
}

/// The lowest rate among ten stretches of equal length. Not for a run under a minute: the server tells its progress
/// in thousands of events a feed, and short stretches would show that grain.
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
