//! Reads beside a bulk export.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{DriveResult, RepeatedRequest, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection};
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::{median, ratio};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    templates: u64,
    data_dir: String,
    connections: usize,
    turns: usize,
    turn_s: f64,
    k: u64,
    format: String,
}

/// Reads keep this share of their rate beside an export.
const GOAL_SHARE: Goal = Goal::AtLeast(0.8);
/// How often a job is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);
/// How long a job may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the turns measured.
#[derive(Default)]
struct Turns {
    /// Reads per second of each turn, without exports and with them.
    alone: Vec<f64>,
    beside: Vec<f64>,
    /// Seconds that an export took in each turn, without reads and with them.
    export_alone: Vec<f64>,
    export_beside: Vec<f64>,
}

impl ExportScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        report.detail("settings", self);
        let server = match self.data_dir.as_str() {
            "" => Server::start(&environment.server, &environment.scratch, &self.server)?,
            data_dir => Server::start_in(&environment.server, Path::new(data_dir), &self.server)?,
        };
        let feeds = Rc::new(Feeds::new(self.users, self.templates));
        if self.data_dir.is_empty() {
            environment.progress.step(format!("export: posting the events of {} users", self.users));
            let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
            feeding::load_users(server.listen(), &token, feeds.clone()).await?;
        }
        let reader = server.token("svc:dashboard", "service", "profile:read")?;
        let user = feeds.people().user_id(0);
        let read = Rc::new(RepeatedRequest(http::get(&format!("/api/v2/profile/{user}"), &reader)));

        let mut turns = Turns::default();
        let mut rows = 0;
        for turn in 1..=self.turns {
            environment.progress.step(format!("export: turn {turn} of {}", self.turns));
            turns.alone.push(self.reads(&server, &read).await?.rate());
            let alone = self.export(&server).await?;
            turns.export_alone.push(alone.seconds);
            rows = alone.rows;
            let beside = self.reads_beside(&server, &read).await?;
            turns.beside.push(beside.0.rate());
            turns.export_beside.push(beside.1);
        }
        report.figure("users", self.users as f64, "");
        report.figure("  rows of an export", rows as f64, "");
        report.figure("GET alone", median(&turns.alone), "/s");
        report.figure("GET beside exports", median(&turns.beside), "/s");
        report.goal("  share of the rate alone", ratio(&turns.beside, &turns.alone), "", GOAL_SHARE);
        report.figure("export alone", median(&turns.export_alone), "s");
        report.figure("export beside reads", median(&turns.export_beside), "s");
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop().map(drop)
    }

    async fn reads(&self, server: &Server, read: &Rc<RepeatedRequest>) -> Result<DriveResult> {
        let pace = Pace::Closed(Duration::from_secs_f64(self.turn_s));
        drive(server.listen(), self.connections, read.clone(), pace).await
    }

    /// Reads while exports run one after the other. Returns the reads, and the median seconds of an export.
    async fn reads_beside(&self, server: &Server, read: &Rc<RepeatedRequest>) -> Result<(DriveResult, f64)> {
        let (is_over, taken) = (Cell::new(false), RefCell::new(Vec::new()));
        let exports = async {
            while !is_over.get() {
                let export = self.export(server).await?;
                taken.borrow_mut().push(export.seconds);
            }
            Ok(())
        };
        let reads = async {
            let reads = self.reads(server, read).await;
            is_over.set(true);
            reads
        };
        // The last export ends without reads.
        let (reads, ()) = tokio::try_join!(reads, exports)?;
        let taken = taken.into_inner();
        Ok((reads, median(&taken[..taken.len().saturating_sub(1).max(1)])))
    }

    /// Runs an export, and deletes its file.
    async fn export(&self, server: &Server) -> Result<Export> {
        let token = server.token_with("adm:loadtest", "admin", "export", &["--amr", "mfa"])?;
        let mut connection = Connection::open(server.listen()).await?;
        let body = json!({"format": self.format, "k": self.k}).to_string();
        let start = Instant::now();
        let started = connection.exchange(&request("POST", "/api/v2/profiles/bulk-export", &token, &body)).await?;
        ensure!(started.status == 202, "an export was refused: {}", String::from_utf8_lossy(started.body));
        let Started { job_id } = serde_json::from_slice(started.body).context("the answer has no job id")?;
        let path = format!("/api/v2/exports/{job_id}");
        while start.elapsed() < PATIENCE {
            tokio::time::sleep(POLL).await;
            let seconds = start.elapsed().as_secs_f64();
            let status = connection.exchange(&http::get(&path, &token)).await?;
            let status: Status = serde_json::from_slice(status.success()?).context("a status without its state")?;
            match status.state.as_str() {
                "queued" | "running" => {}
                "done" => {
                    connection.exchange(&request("DELETE", &path, &token, "")).await?;
                    return Ok(Export { seconds, rows: status.rows_written });
                }
                state => bail!("an export ended as `{state}`"),
            }
        }
        bail!("an export took longer than {PATIENCE:?}")
    }
}

/// The answer to the start of a job.
#[derive(Deserialize)]
struct Started {
    job_id: String,
}

/// The part of a job's status that is used.
#[derive(Deserialize)]
struct Status {
    state: String,
    #[serde(default)]
    rows_written: u64,
}

/// An export that is done.
struct Export {
    seconds: f64,
    rows: u64,
}

fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
