//! Measures whether a caller can tell hidden users from unknown ids.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::attack::burst::EventLines;
use crate::attack::event;
use crate::attack::feeder;
use crate::attack::probe::{ProbePlan, exchange, on_thread};
use crate::attack::threshold::{Accuracy, Measurement, by_threshold, by_value};
use crate::http::{self, Connection};
use crate::population::{Feeds, population};
use crate::random::Random;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::median;
use crate::wall_clock;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExistenceScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    ids: u64,
    probes: usize,
    connections: usize,
    phase_s: f64,
    timeout_s: f64,
    feeders: usize,
    others: u64,
}

/// The response to one probe.
#[derive(Debug, Clone, Copy)]
struct ProbeResult {
    /// Index of the id. Hidden ids come first, then unknown ids.
    id: usize,
    took: Duration,
    /// 0 if no response came in time.
    status: u16,
}

/// How long the feeds run before the first probe.
const LEAD: Duration = Duration::from_millis(300);

impl ExistenceScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let (hidden, all) = (self.ids, self.ids * 2);
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        // First the hidden users, then the unknown ids, then the users whose events keep the server busy.
        let people = population(all + self.others);
        let user_ids: Vec<String> = (0..all + self.others).map(|user| people.user_id(user)).collect();
        feeding::load_users(server.listen(), &token, Rc::new(Feeds::new(hidden, hidden))).await?;
        for user in &user_ids[..hidden as usize] {
            withdraw_consent(&server, &token, user).await?;
        }
        for (name, about) in
            [("others are fed", &user_ids[all as usize..]), ("they are fed", &user_ids[..hidden as usize])]
        {
            environment.progress.step(format!("existence: {name}"));
            let probed = self.phase(&server, &token, about, &user_ids[..all as usize]).await?;
            self.report(name, &probed, report);
        }
        report.detail("settings", self);
        Ok(())
    }

    /// Posts events about the users in `about` while it probes all ids.
    async fn phase(&self, server: &Server, token: &str, about: &[String], ids: &[String]) -> Result<Vec<ProbeResult>> {
        let (address, timeout) = (server.listen(), Duration::from_secs_f64(self.timeout_s));
        let length = Duration::from_secs_f64(self.phase_s);
        let mut feeders = JoinSet::new();
        for _ in 0..self.feeders {
            let (lines, token) = (trickle(about.to_vec()), token.to_owned());
            let length = length + LEAD;
            feeders.spawn_local(async move { feeder::feed(address, "metadata", &token, lines, length, timeout).await });
        }
        tokio::time::sleep(LEAD).await;
        let reader = server.token("svc:partner", "service", "profile:read third_party")?;
        let requests: Vec<Vec<u8>> =
            ids.iter().map(|id| http::get(&format!("/api/v2/profile/{id}"), &reader)).collect();
        let (probes, connections) = (self.probes, self.connections);
        let plan = ProbePlan { address, rate: 0.0, length, connections, timeout };
        let probed = on_thread(move || async move { probe_all(plan, requests, probes).await }).await?;
        feeders.abort_all();
        ensure!(probed.iter().all(|probed| probed.status != 200), "a hidden user was shown");
        Ok(probed)
    }

    fn report(&self, name: &str, probed: &[ProbeResult], report: &mut ScenarioReport) {
        let groups: Vec<bool> = (0..self.ids * 2).map(|id| id >= self.ids).collect();
        for (group, second) in [("hidden", false), ("unknown", true)] {
            let of_group: Vec<&ProbeResult> = probed.iter().filter(|probed| groups[probed.id] == second).collect();
            let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
            of_group.iter().for_each(|probed| *statuses.entry(probed.status).or_default() += 1);
            for (status, count) in &statuses {
                let status = if *status == 0 { "unanswered in time".to_owned() } else { format!("status {status}") };
                report.figure(format!("{name}: {group}, {status}"), *count as f64, "");
            }
            let medians: Vec<f64> = medians(&of_group).iter().map(|sample| sample.value).collect();
            report.figure(format!("{name}: {group}, lowest median of an id"), least(&medians), "ms");
            report.figure("  the middle one", median(&medians), "ms");
            report.figure("  the highest", -least(&medians.iter().map(|ms| -ms).collect::<Vec<_>>()), "ms");
            report.detail(&format!("{name}: {group}"), json!({"statuses": statuses, "medians_ms": medians}));
        }
        let sample = |value: fn(&ProbeResult) -> f64| -> Vec<Measurement> {
            probed.iter().map(|probed| Measurement { member: probed.id, value: value(probed) }).collect()
        };
        let by_median = by_threshold(&medians(&probed.iter().collect::<Vec<_>>()), &groups);
        let by_probe = by_threshold(&sample(|probed| probed.took.as_secs_f64()), &groups);
        let by_status = by_value(&sample(|probed| probed.status.into()), &groups);
        for (what, accuracy) in
            [("the median time of an id", by_median), ("the time of a probe", by_probe), ("the status", by_status)]
        {
            add_accuracy(&format!("{name}: told apart by {what}"), accuracy, report);
            report.detail(&format!("{name}: by {what}"), accuracy);
        }
    }
}

fn add_accuracy(what: &str, accuracy: Accuracy, report: &mut ScenarioReport) {
    // The goal is the 99th percentile over random groupings.
    report.goal(what, accuracy.best, "", Goal::NotAbove(accuracy.chance_99));
    report.figure("  by chance, in the middle", accuracy.chance, "");
}

/// Withdraws a user's consent to sharing with third parties.
async fn withdraw_consent(server: &Server, token: &str, user: &str) -> Result<()> {
    let mut event = Vec::new();
    let time = wall_clock::now_micros();
    let kind = ["consent", "user.consent.updated"];
    event::render(&mut event, kind, user, "withdraw_consent", time, r#"{"third_party_sharing":false}"#);
    let mut connection = Connection::open(server.listen()).await?;
    let reply = connection.exchange(&http::post_event("consent", event.trim_ascii_end(), token)).await?;
    reply.success().context("a user could not be hidden").map(drop)
}

/// Makes an endless sequence of small changes, round-robin over the users.
fn trickle(users: Vec<String>) -> EventLines {
    let (mut number, start) = (0, wall_clock::now_micros());
    Box::new(move |out| {
        let user = &users[number % users.len()];
        let data = format!(r#"{{"fields":{{"family":{{"dependents":{}}}}}}}"#, (number / users.len()) % 9);
        let kind = ["metadata", "user.metadata.updated"];
        event::render(out, kind, user, &format!("t{number}"), start + number as i64, &data);
        number += 1;
        true
    })
}

/// Requests every id `probes` times in random order, until the time limit.
async fn probe_all(plan: ProbePlan, requests: Vec<Vec<u8>>, probes: usize) -> Result<Vec<ProbeResult>> {
    let (mut order, mut random) = (Vec::new(), Random::new(1));
    for _ in 0..probes {
        // In rounds, so that all ids have about the same number of probes at the time limit.
        let mut round: Vec<usize> = (0..requests.len()).collect();
        random.shuffle(&mut round);
        order.extend(round);
    }
    order.reverse();
    let end = Instant::now() + plan.length;
    let shared = Rc::new((requests, RefCell::new(order), RefCell::new(Vec::new())));
    let mut tasks = JoinSet::new();
    for _ in 0..plan.connections {
        let shared = shared.clone();
        tasks.spawn_local(async move {
            let (requests, order, probed) = &*shared;
            let mut connection = None;
            while Instant::now() < end {
                let Some(id) = order.borrow_mut().pop() else { break };
                let start = Instant::now();
                let status = exchange(&mut connection, plan, &requests[id]).await.unwrap_or_default();
                probed.borrow_mut().push(ProbeResult { id, took: start.elapsed(), status });
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.context("a connection's task panicked")?;
    }
    Ok(shared.2.take())
}

/// Returns the median time of each id, in milliseconds.
fn medians(probed: &[&ProbeResult]) -> Vec<Measurement> {
    let mut of_id: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for probed in probed {
        of_id.entry(probed.id).or_default().push(probed.took.as_secs_f64() * 1e3);
    }
    of_id.into_iter().map(|(member, times)| Measurement { member, value: median(&times) }).collect()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::local;
    use crate::fake_server::{self, FakeServer};

    #[test]
    fn every_id_has_the_same_number_of_probes() {
        let probed = local(async {
            let address = fake_server::start(FakeServer { status: 404, ..FakeServer::default() }).await?;
            let (length, timeout) = (Duration::from_secs(60), Duration::from_secs(60));
            let plan = ProbePlan { address, rate: 0.0, length, connections: 3, timeout };
            probe_all(plan, vec![http::get("/", ""); 10], 5).await
        })
        .expect("probed");
        assert!(probed.iter().all(|probed| probed.status == 404));
        for id in 0..10 {
            assert_eq!(probed.iter().filter(|probed| probed.id == id).count(), 5);
        }
        assert_eq!(medians(&probed.iter().collect::<Vec<_>>()).len(), 10);
    }
}
