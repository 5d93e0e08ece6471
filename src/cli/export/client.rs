//! The requests of `export`.

use std::io::Read;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};

use super::super::output::print_error;
use super::super::output_file::OutputFile;
use super::super::progress::progress_bar;
use super::super::server_arguments::ServerArguments;

/// Time between two looks at the status: at first, and later. Looks count for the limit of reads.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];
/// Number of looks after short pauses.
const SHORT_PAUSES: usize = 15;
/// How long the server may take for an answer, and for each piece of a file.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of an answer in JSON, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// Looks at the status that may fail one after the other, and attempts to get a file.
const ATTEMPTS: usize = 5;
/// Bytes of a file that are written at once.
const PIECE: usize = 256 << 10;

/// The server refused a request.
#[derive(Debug, thiserror::Error)]
#[error("the server refused with {status}: {detail}")]
pub(super) struct ServerRefusal {
    pub(super) status: u16,
    detail: String,
}

impl ServerRefusal {
    fn new(answer: &mut Response<ureq::Body>) -> Self {
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut detail = problem["detail"].as_str().unwrap_or("the server gave no reason").to_owned();
        for error in problem["errors"].as_array().into_iter().flatten() {
            let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
            detail.push_str(&format!("; {}: {}", text("pointer"), text("detail")));
        }
        Self { status: answer.status().as_u16(), detail }
    }

    /// Whether the same request may be answered later.
    fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..)
    }
}

/// Whether it makes sense to repeat a request that failed: the server did not answer, or not yet.
fn may_pass(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ServerRefusal>().is_none_or(ServerRefusal::may_pass)
}

/// A server, and the token of the caller.
pub(super) struct ExportClient {
    agent: Agent,
    server: String,
    token: String,
}

impl ExportClient {
    /// Returns a client for the server of the arguments.
    ///
    /// # Errors
    /// No token is given.
    pub(super) fn new(arguments: &ServerArguments) -> anyhow::Result<Self> {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(TIMEOUT)).build();
        Ok(Self { agent: Agent::new_with_config(config), server: arguments.server.clone(), token: arguments.token()? })
    }

    /// Sends a request, for a file from a byte on. The answer is a success.
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
        let mut answer = self.agent.run(request).with_context(|| format!("no response from `{}`", self.server))?;
        if !answer.status().is_success() {
            return Err(ServerRefusal::new(&mut answer).into());
        }
        Ok(answer)
    }

    /// Sends a request and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses, which is a [`ServerRefusal`].
    pub(super) fn json(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut answer = self.send(method, path, &body, 0)?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
        serde_json::from_str(&text.context("could not read the answer")?).context("the server's answer is not JSON")
    }

    /// Waits until a job has ended, and returns its status. Some looks at it may fail.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn wait(&self, job: &str) -> anyhow::Result<Value> {
        let bar = progress_bar(100, "{bar:30} {percent:>3} % {msg}");
        let mut failed = 0;
        for look in 0.. {
            match self.json("GET", &format!("/api/v2/exports/{job}"), None) {
                Ok(status) => {
                    failed = 0;
                    show(&bar, &status);
                    if !matches!(status["state"].as_str(), Some("queued" | "running")) {
                        bar.finish_and_clear();
                        return Ok(status);
                    }
                }
                Err(error) => {
                    failed += 1;
                    if failed == ATTEMPTS || !may_pass(&error) {
                        return Err(error);
                    }
                }
            }
            sleep(PAUSES[usize::from(look >= SHORT_PAUSES)]);
        }
        bail!("the job does not end")
    }

    /// Writes the file of a job, which only its owner may read. It gets its name when it is complete; a download that breaks off
    /// goes on where it was, and one that fails leaves nothing behind.
    ///
    /// # Errors
    /// The server does not answer, or refuses, or the file cannot be written.
    pub(super) fn download(&self, job: &str, out: &Path, length: u64) -> anyhow::Result<()> {
        let mut file = OutputFile::create(out)?;
        let bar = progress_bar(length, "{bar:30} {bytes} of {total_bytes} {bytes_per_sec}");
        let copied = self.copy_all(job, &mut file, length, &bar);
        bar.finish_and_clear();
        match copied {
            Ok(()) => file.finish(),
            Err(error) => {
                file.discard();
                Err(error)
            }
        }
    }

    fn copy_all(&self, job: &str, file: &mut OutputFile, length: u64, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut written = 0;
        for attempt in 1.. {
            let broke_off = match self.send("GET", &format!("/api/v2/exports/{job}/download"), &[], written) {
                Ok(mut answer) => copy(&mut answer, file, &mut written, bar)?,
                Err(error) if may_pass(&error) => Some(error),
                Err(error) => return Err(error),
            };
            match broke_off {
                None if written == length => break,
                Some(error) if attempt == ATTEMPTS => return Err(error.context("the download broke off")),
                None if attempt == ATTEMPTS => bail!("the download broke off {ATTEMPTS} times"),
                _ => print_error("the download broke off, and goes on"),
            }
            sleep(PAUSES[0]);
        }
        Ok(())
    }
}

fn show(bar: &ProgressBar, status: &Value) {
    bar.set_position(status["percent"].as_u64().unwrap_or(0));
    let eta = status["eta_seconds"].as_u64().map_or_else(String::new, |seconds| format!(", {seconds} s left"));
    bar.set_message(format!("{}{eta}", status["stage"].as_str().or(status["state"].as_str()).unwrap_or("")));
}

/// Copies what an answer brings. Returns why it broke off, if the server is the reason.
///
/// # Errors
/// The file cannot be written.
fn copy(
    answer: &mut Response<ureq::Body>,
    file: &mut OutputFile,
    written: &mut u64,
    bar: &ProgressBar,
) -> anyhow::Result<Option<anyhow::Error>> {
    if (*written > 0) != (answer.status().as_u16() == 206) {
        bail!("the server sent another part of the file than was asked for");
    }
    let mut reader = answer.body_mut().as_reader();
    let mut piece = vec![0; PIECE];
    loop {
        let filled = match reader.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(filled) => filled,
            Err(error) => return Ok(Some(error.into())),
        };
        file.write(&piece[..filled])?;
        *written += filled as u64;
        bar.set_position(*written);
    }
}
