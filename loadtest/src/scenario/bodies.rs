//! Large useless bodies.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::attack::probe::{ProbePlan, ProbeStats, on_thread, probe};
use crate::http::{self, LargeResponse, send_large};
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::wall_clock;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodiesScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    elements_bytes: usize,
    at_once: usize,
    rejected: usize,
    faults: usize,
    rate: f64,
    connections: usize,
    phase_s: f64,
    timeout_s: f64,
    goal_p99_ms: f64,
    goal_memory_mb: f64,
    goal_answer_mb: f64,
}

/// How long the others run before the bodies are sent.
const LEAD: Duration = Duration::from_millis(500);

impl BodiesScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let elements = Rc::new(elements(self.elements_bytes));
        let rejected = Rc::new(rejected(self.rejected, self.faults));
        let phases = [
            ("idle".to_owned(), Rc::new(Vec::new()), 0),
            ("`[1,1,…`".to_owned(), elements.clone(), 1),
            (format!("`[1,1,…`, {} at once", self.at_once), elements, self.at_once),
            (format!("{} rejected events", self.rejected), rejected, 1),
        ];
        for (name, body, count) in phases {
            environment.progress.step(format!("bodies: {name}"));
            self.phase(&name, &body, count, environment, report).await?;
        }
        report.detail("settings", self);
        Ok(())
    }

    async fn phase(
        &self,
        name: &str,
        body: &Rc<Vec<u8>>,
        count: usize,
        environment: &RunEnvironment,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(1, 1));
        feeding::load_users(server.listen(), &token, feeds.clone()).await?;
        let reader = server.token("svc:dashboard", "service", "profile:read")?;
        let get = http::get(&format!("/api/v2/profile/{}", feeds.people().user_id(0)), &reader);
        let plan = ProbePlan {
            address: server.listen(),
            rate: self.rate,
            length: Duration::from_secs_f64(self.phase_s),
            connections: self.connections,
            timeout: Duration::from_secs_f64(self.timeout_s),
        };
        let others = tokio::task::spawn_local(on_thread(move || async move {
            let live = http::get("/health/live", "");
            let live = probe(plan, move |_| [live.clone()]);
            let get = probe(plan, move |_| [get.clone()]);
            let ([live], [get]) = tokio::try_join!(live, get)?;
            Ok([live, get])
        }));
        tokio::time::sleep(LEAD).await;
        let memory_before = server.running().memory();
        let answered = self.send(&server, &token, body, count).await?;
        let others = others.await.context("the others' task panicked")??;
        let memory = [memory_before, server.running().peak_memory(), server.running().memory()];
        self.report(name, body.len(), &answered, &others, memory, report);
        Ok(())
    }

    /// Sends the body `count` times at the same time.
    async fn send(&self, server: &Server, token: &str, body: &Rc<Vec<u8>>, count: usize) -> Result<Vec<LargeResponse>> {
        let (address, mut sends, mut answered) = (server.listen(), JoinSet::new(), Vec::new());
        // As long as the others are measured, plus the time of a response.
        let limit = Duration::from_secs_f64(self.phase_s + self.timeout_s);
        for _ in 0..count {
            let (head, body) = (http::post_head("metadata", http::BATCH, body.len(), token), body.clone());
            sends.spawn_local(async move { send_large(address, &head, &body, limit).await });
        }
        while let Some(send) = sends.join_next().await {
            answered.push(send.context("a body's task panicked")??);
        }
        Ok(answered)
    }

    fn report(
        &self,
        name: &str,
        bytes: usize,
        answered: &[LargeResponse],
        others: &[ProbeStats; 2],
        [before, peak, after]: [u64; 3],
        report: &mut ScenarioReport,
    ) {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        for answer in answered {
            let status = answer.status.map_or("no answer".to_owned(), |status| format!("status {status}"));
            report.figure(format!("{name}: {status} after"), answer.first_byte.as_secs_f64() * 1e3, "ms");
            report.figure("  ended after", answer.took.as_secs_f64() * 1e3, "ms");
            let goal = Goal::AtMost(self.goal_answer_mb * 1e3);
            report.goal("  answer", answer.bytes as f64 / 1e3, "kB", goal);
        }
        if !answered.is_empty() {
            report.figure(format!("{name}: one body"), mb(bytes as u64), "MB");
        }
        report.figure(format!("{name}: memory before (resident)"), mb(before), "MB");
        report.goal(format!("{name}: peak memory"), mb(peak), "MB", Goal::AtMost(self.goal_memory_mb));
        report.figure(format!("{name}: memory after"), mb(after), "MB");
        let goal = (!answered.is_empty()).then_some(self.goal_p99_ms);
        for (answers, what) in others.iter().zip(["GET /health/live", "GET of a profile"]) {
            answers.report(&format!("{name}: {what}"), goal, report);
            report.detail(&format!("{name}: {what}"), answers.detail());
        }
        let bodies = answered.iter().map(|answer| {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            json!({"status": answer.status, "bytes": answer.bytes,
                   "first_byte_ms": millis(answer.first_byte), "took_ms": millis(answer.took)})
        });
        report.detail(&format!("{name}: bodies"), bodies.collect::<Vec<_>>());
    }
}

/// Renders `[1,1,…,1]` with at most this many bytes.
fn elements(bytes: usize) -> Vec<u8> {
    let mut body = b"[1".to_vec();
    body.reserve(bytes);
    while body.len() + 3 <= bytes {
        body.extend_from_slice(b",1");
    }
    body.push(b']');
    body
}

/// Renders a batch of events with `faults` unknown members each.
fn rejected(events: usize, faults: usize) -> Vec<u8> {
    let members: Vec<String> = (0..faults).map(|number| format!("\"{number}\":1")).collect();
    let time = wall_clock::rfc3339(wall_clock::now_micros());
    let mut body = b"[".to_vec();
    for number in 0..events {
        let separator = if number == 0 { "" } else { "," };
        let event = format!(
            r#"{separator}{{"specversion":"1.0","id":"{number}","source":"/metadata","type":"user.metadata.updated","subject":"usr_Attacker0000","time":"{time}","data":{{"fields":{{"family":{{{}}}}}}}}}"#,
            members.join(",")
        );
        body.extend_from_slice(event.as_bytes());
    }
    body.push(b']');
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_bodies_are_json_of_the_size_that_was_asked_for() {
        for bytes in [1_000, 1_001] {
            let body = elements(bytes);
            assert!((bytes - 1..=bytes).contains(&body.len()), "{}", body.len());
            assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
        let body: Value = serde_json::from_slice(&rejected(7, 16)).expect("JSON");
        let events = body.as_array().expect("an array");
        assert_eq!((events.len(), events[6]["data"]["fields"]["family"].as_object().map(|it| it.len())), (7, Some(16)));
        let mean = rejected(1_000, 16).len() / 1_000;
        assert!((200..300).contains(&mean), "{mean} bytes");
    }
}
