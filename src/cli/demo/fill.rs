//! The population's past, posted through the feeds as any engine would.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::super::http_client::{self, Call};
use super::{Stage, Tokens};

/// Events of a person, deliveries of the same one counted.
const EVENTS_EACH: u64 = 25;
/// Events that are posted before the bar moves.
const WINDOW: usize = 1_000;
/// How often a busy server is asked again.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// What the server said to the events of a feed.
#[derive(Default)]
pub(super) struct Said {
    applied: u64,
    other: u64,
    busy: u64,
    rejected: u64,
}

impl Stage {
    /// Events of the past, deliveries of the same one counted.
    pub(super) fn events(&self) -> u64 {
        self.population.users() * EVENTS_EACH
    }

    /// Posts everything, and says what became of it.
    pub(super) async fn fill(&self, tokens: &Tokens) -> anyhow::Result<String> {
        let started = Instant::now();
        let (users, total) = (self.population.users(), self.events());
        let bar = bar(total);
        if !stderr().is_terminal() {
            super::super::say(&format!("posting {total} events about {users} citizens"));
        }
        let mut traffic = self.population.traffic(total).peekable();
        let mut all = Said::default();
        while traffic.peek().is_some() {
            let mut feeds: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
            let mut taken = 0;
            for arrival in traffic.by_ref().take(WINDOW) {
                let lines = feeds.entry(arrival.event.source).or_default();
                lines.extend_from_slice(&arrival.event.json);
                lines.push(b'\n');
                taken += 1;
            }
            for (source, lines) in feeds {
                let said = self.post(source, &lines, tokens).await?;
                all.applied += said.applied;
                all.other += said.other;
            }
            bar.inc(taken);
        }
        bar.finish_and_clear();
        let (Said { applied, other, .. }, seconds) = (all, started.elapsed().as_secs_f64());
        Ok(format!(
            "{users} citizens came to life in {seconds:.1} s: {applied} events changed something, {other} said \
             nothing new."
        ))
    }

    /// Posts lines to a feed until none is busy. Sending again is always safe.
    pub(super) async fn post(&self, source: &str, lines: &[u8], tokens: &Tokens) -> anyhow::Result<Said> {
        let path = format!("/api/v2/feeds/{source}");
        let body = ("application/x-ndjson", lines);
        let call = Call { method: "POST", path: &path, token: &tokens.service, body };
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let (status, answer) = http_client::send(self.listen, &call).await?;
            match (status, total(&answer)) {
                (200, Some(Said { rejected: 1.., .. })) => bail!("`{path}` rejected an event: {answer}"),
                (200, Some(said)) if said.busy == 0 => return Ok(said),
                (200 | 503, _) => {
                    last = answer;
                    tokio::time::sleep(PAUSE).await;
                }
                _ => bail!("`{path}` answered {status}: {answer}"),
            }
        }
        bail!("`{path}` stayed busy: {last}")
    }
}

/// The last line of the answer, which counts them all.
fn total(answer: &str) -> Option<Said> {
    let total: Value = serde_json::from_str(answer.lines().next_back()?).ok()?;
    let count = |name: &str| total[name].as_u64();
    Some(Said {
        applied: count("applied")?,
        other: count("unchanged")? + count("duplicates")?,
        busy: count("busy")?,
        rejected: count("rejected")?,
    })
}

fn bar(total: u64) -> ProgressBar {
    // On stderr, and on a terminal only.
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}
