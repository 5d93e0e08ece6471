//! `export`: starts a bulk export, waits for it, and writes its file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use ureq::Agent;
use ureq::http::{Request, Response};

use super::output::{print_error, print_line};
use super::progress::progress_bar;
use super::server_arguments::ServerArguments;

/// Time between two looks at the status: at first, and later. Looks count for the limit of reads.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];
/// Number of looks after short pauses.
const SHORT_PAUSES: usize = 15;
/// How long the server may take for an answer, and for each piece of a file.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of an answer in JSON, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// Attempts to go on with a download that broke off.
const ATTEMPTS: usize = 5;

/// Exports anonymised records, or aggregates, of everyone who takes part in analytics.
///
/// Needs the token of an administrator with the scope `export` and a fresh second factor.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server export --out people.parquet
  profile-server export --out bihar.parquet --state bihar --k 20 --columns age_bracket,gender,district,total_active
  profile-server export --out counts.ndjson --aggregate --epsilon 1 --columns state,age_bracket,total_active
  profile-server export --feasibility --k 50
  profile-server export --dry-run --state bihar")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// File to write; its extension names the format: parquet, arrow or ndjson
    #[arg(long, value_name = "FILE", required_unless_present_any = ["feasibility", "dry_run"])]
    out: Option<PathBuf>,
    /// Minimum number of people who are alike [default: that of the server]
    #[arg(long)]
    k: Option<u32>,
    /// Minimum number of different values of each sensitive column among them [default: that of the server]
    #[arg(long)]
    l: Option<u32>,
    /// Columns, separated by commas [default: all that the server allows]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Exports statistics of groups with noise, in place of records
    #[arg(long, requires = "epsilon")]
    aggregate: bool,
    /// Privacy budget that the aggregate spends
    #[arg(long, requires = "aggregate")]
    epsilon: Option<f64>,
    /// People of this state only
    #[arg(long)]
    state: Option<String>,
    /// People of this district only
    #[arg(long, requires = "state")]
    district: Option<String>,
    /// People of this income bracket only
    #[arg(long)]
    income_bracket: Option<String>,
    /// People who are eligible for this scheme only
    #[arg(long)]
    scheme_id: Option<String>,
    /// People with this cohort tag only
    #[arg(long)]
    cohort_tag: Option<String>,
    /// People whose profile is at least so complete, in percent
    #[arg(long)]
    min_completeness: Option<u8>,
    /// Prints which levels of generalisation an export of everyone would need now, and exports nothing
    #[arg(long, conflicts_with_all = ["out", "dry_run", "aggregate"])]
    feasibility: bool,
    /// Prints the request, and sends nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    if arguments.dry_run {
        print_line(&arguments.request()?.to_string())?;
        return Ok(());
    }
    let client = Client::new(&arguments.server)?;
    if arguments.feasibility {
        let numbers = [("k", arguments.k), ("l", arguments.l)];
        let query = numbers.iter().filter_map(|(name, number)| Some(format!("{name}={}", (*number)?)));
        let query = query.collect::<Vec<_>>().join("&");
        print_line(&client.json("GET", &format!("/api/v2/exports/feasibility?{query}"), None)?.to_string())?;
        return Ok(());
    }
    let out = arguments.out.as_deref().context("no file: name it with `--out`")?;
    let started = client.json("POST", "/api/v2/profiles/bulk-export", Some(&arguments.request()?))?;
    let job = started["job_id"].as_str().context("the server gave no job id")?;
    let status = client.wait(job)?;
    match status["state"].as_str() {
        Some("done") => {}
        Some(state) => {
            bail!("export `{job}` is {state}: {}", status["error"].as_str().unwrap_or("it has no file"))
        }
        None => bail!("the server's answer is not that of an export"),
    }
    client.download(job, out, status["bytes"].as_u64().unwrap_or(0))?;
    print_line(&status.to_string())?;
    Ok(())
}

impl ExportArguments {
    /// Returns the body of the request.
    fn request(&self) -> anyhow::Result<Value> {
        let mut request = Map::new();
        if let Some(out) = &self.out {
            let extension = out.extension().and_then(|extension| extension.to_str());
            let format = extension.filter(|extension| ["parquet", "arrow", "ndjson"].contains(extension));
            let format = format.ok_or_else(|| anyhow!("name the file with one of .parquet, .arrow and .ndjson"))?;
            request.insert("format".to_owned(), json!(format));
        }
        let texts = [
            ("state", &self.state),
            ("district", &self.district),
            ("income_bracket", &self.income_bracket),
            ("scheme_id", &self.scheme_id),
            ("cohort_tag", &self.cohort_tag),
        ];
        let mut filter: Map<String, Value> =
            texts.iter().filter_map(|(name, text)| Some(((*name).to_owned(), json!(text.as_ref()?)))).collect();
        filter.extend(self.min_completeness.map(|least| ("min_completeness".to_owned(), json!(least))));
        let members = [
            ("mode", self.aggregate.then(|| json!("aggregate"))),
            ("epsilon", self.epsilon.map(|epsilon| json!(epsilon))),
            ("columns", self.columns.as_ref().map(|columns| json!(columns))),
            ("k", self.k.map(|k| json!(k))),
            ("l", self.l.map(|l| json!(l))),
            ("filter", (!filter.is_empty()).then_some(Value::Object(filter))),
        ];
        request.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(Value::Object(request))
    }
}

/// A server, and the token of the caller.
struct Client {
    agent: Agent,
    server: String,
    token: String,
}

impl Client {
    fn new(arguments: &ServerArguments) -> anyhow::Result<Self> {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(TIMEOUT)).build();
        Ok(Self { agent: Agent::new_with_config(config), server: arguments.server.clone(), token: arguments.token()? })
    }

    fn send(&self, method: &str, path: &str, body: &[u8], from: u64) -> anyhow::Result<Response<ureq::Body>> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.server));
        let mut request = request.header("authorization", format!("Bearer {}", self.token));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let request = request.body(body).context("the request is malformed")?;
        self.agent.run(request).with_context(|| format!("no response from `{}`", self.server))
    }

    /// Sends a request and returns the JSON of the answer.
    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut answer = self.send(method, path, &body, 0)?;
        let text =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().context("could not read the answer")?;
        if answer.status().is_success() {
            return serde_json::from_str(&text).context("the server's answer is not JSON");
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut detail = problem["detail"].as_str().unwrap_or("the server gave no reason").to_owned();
        for error in problem["errors"].as_array().into_iter().flatten() {
            detail.push_str(&format!(
                "; {}: {}",
                error["pointer"].as_str().unwrap_or(""),
                error["detail"].as_str().unwrap_or("")
            ));
        }
        Err(anyhow!("the server refused with {}: {detail}", answer.status().as_u16()))
    }

    /// Waits until a job has ended, and returns its status.
    fn wait(&self, job: &str) -> anyhow::Result<Value> {
        let bar = progress_bar(100, "{bar:30} {percent:>3} % {msg}");
        for look in 0.. {
            let status = self.json("GET", &format!("/api/v2/exports/{job}"), None)?;
            bar.set_position(status["percent"].as_u64().unwrap_or(0));
            let eta = status["eta_seconds"].as_u64().map_or_else(String::new, |seconds| format!(", {seconds} s left"));
            bar.set_message(format!("{}{eta}", status["stage"].as_str().or(status["state"].as_str()).unwrap_or("")));
            if !matches!(status["state"].as_str(), Some("queued" | "running")) {
                bar.finish_and_clear();
                return Ok(status);
            }
            sleep(PAUSES[usize::from(look >= SHORT_PAUSES)]);
        }
        bail!("the job does not end")
    }

    /// Writes the file of a job. It gets its name when it is complete; a download that breaks off goes on where it was.
    fn download(&self, job: &str, out: &Path, length: u64) -> anyhow::Result<()> {
        let part = PathBuf::from(format!("{}.part", out.display()));
        let mut file = File::create(&part).with_context(|| format!("could not create `{}`", part.display()))?;
        let bar = progress_bar(length, "{bar:30} {bytes} of {total_bytes} {bytes_per_sec}");
        let mut written = 0;
        for attempt in 1.. {
            match self.copy(job, &mut file, &mut written, &bar) {
                Ok(()) if written == length => break,
                Err(error) if error.downcast_ref::<WriteError>().is_some() || attempt == ATTEMPTS => return Err(error),
                Ok(()) if attempt == ATTEMPTS => bail!("the download broke off {ATTEMPTS} times"),
                _ => print_error("the download broke off, and goes on"),
            }
        }
        bar.finish_and_clear();
        file.sync_all().context("could not write the file")?;
        fs::rename(&part, out).with_context(|| format!("could not name the file `{}`", out.display()))
    }

    fn copy(&self, job: &str, file: &mut File, written: &mut u64, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut answer = self.send("GET", &format!("/api/v2/exports/{job}/download"), &[], *written)?;
        let expected = if *written > 0 { 206 } else { 200 };
        if answer.status().as_u16() != expected {
            bail!("the server refused the download with {}", answer.status().as_u16());
        }
        let mut reader = answer.body_mut().as_reader();
        let mut piece = vec![0; 256 << 10];
        loop {
            let filled = io::Read::read(&mut reader, &mut piece)?;
            if filled == 0 {
                return Ok(());
            }
            file.write_all(&piece[..filled]).map_err(WriteError)?;
            *written += filled as u64;
            bar.set_position(*written);
        }
    }
}

/// The file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write the file: {0}; free some space, or choose another place")]
struct WriteError(io::Error);
