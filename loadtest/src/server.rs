//! Starts and stops the profile server, on free ports and data of its own.

use crate::disk::DiskUsage;
use crate::process::Process;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The server's settings, in its data directory.
const SETTINGS: &str = "loadtest.toml";
/// Rate limits that no scenario reaches.
const HIGH_LIMITS: &str = include_str!("../../tests/support/high-limits.toml");
/// The server's log, in its data directory.
const LOG: &str = "loadtest.log";

/// How a server stopped.
pub(crate) struct StopResult {
    pub(crate) took: Duration,
    /// Whether it stopped by itself, with exit code 0.
    pub(crate) clean: bool,
    /// Peak resident memory in bytes.
    pub(crate) peak_memory: u64,
}

/// The profile server with a data directory, which is temporary or kept.
pub(crate) struct Server {
    program: PathBuf,
    data_dir: PathBuf,
    running: Process,
    /// Removed when dropped, after the process has ended.
    _temporary: Option<TempDir>,
}

impl Server {
    /// Starts the server on a temporary data directory, with settings that override its defaults.
    pub(crate) fn start(program: &Path, scratch: &Path, settings: &toml::Table) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("loadtest-").tempdir_in(scratch);
        let temporary = temporary.with_context(|| format!("could not make a directory in `{}`", scratch.display()))?;
        let server = Self::start_in(program, temporary.path(), settings)?;
        Ok(Self { _temporary: Some(temporary), ..server })
    }

    /// Starts the server on a data directory that is kept; it is created if it is missing.
    pub(crate) fn start_in(program: &Path, data_dir: &Path, settings: &toml::Table) -> Result<Self> {
        fs::create_dir_all(data_dir).with_context(|| format!("could not make `{}`", data_dir.display()))?;
        configure(data_dir, settings)?;
        let (program, data_dir) = (program.to_owned(), data_dir.to_owned());
        let running = serve(&program, &data_dir)?;
        Ok(Self { program, data_dir, running, _temporary: None })
    }

    /// Kills the server if it still runs, and starts it again on the same data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.running.kill()?;
        self.running = serve(&self.program, &self.data_dir)?;
        Ok(())
    }

    /// Starts the server again on the same data, with other settings. Returns how long the start took.
    pub(crate) fn restart_with(&mut self, settings: &toml::Table) -> Result<Duration> {
        configure(&self.data_dir, settings)?;
        let start = Instant::now();
        self.restart()?;
        Ok(start.elapsed())
    }

    /// Returns the address of the API.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.running.listen
    }

    /// Returns the address of the admin listener.
    pub(crate) fn admin_listen(&self) -> Result<SocketAddr> {
        self.running.admin_listen.context("the server printed no address of its admin listener")
    }

    pub(crate) fn running(&self) -> &Process {
        &self.running
    }

    /// Gets a token that is signed with the server's development key.
    pub(crate) fn token(&self, subject: &str, role: &str, scope: &str) -> Result<String> {
        let ttl = if role == "service" { ["--ttl", "1d"].as_slice() } else { &[] };
        self.token_with(subject, role, scope, ttl)
    }

    /// Gets a token with further options of the token command.
    pub(crate) fn token_with(&self, subject: &str, role: &str, scope: &str, options: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .arg("token")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--sub", subject, "--role", role, "--scope", scope])
            .args(options)
            .output()
            .context("could not run the token command")?;
        if !output.status.success() {
            bail!("no token for `{subject}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout).context("a token that is not text")?.trim().to_owned())
    }

    /// Returns the allocated bytes of all files in the data directory.
    pub(crate) fn allocated(&self) -> u64 {
        DiskUsage::allocated_below(&self.data_dir)
    }

    /// Returns the path of the data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns the disk usage of the data directory without this program's own files.
    pub(crate) fn usage(&self) -> DiskUsage {
        DiskUsage::below(&self.data_dir, &[SETTINGS, LOG])
    }

    /// Stops the server with SIGTERM, so that it makes its last checkpoint, and kills it if it takes longer than
    /// `patience`.
    pub(crate) fn stop_within(&mut self, patience: Duration) -> Result<StopResult> {
        let start = Instant::now();
        self.running.terminate()?;
        let mut peak_memory = 0;
        while start.elapsed() < patience {
            peak_memory = self.running.peak_memory().max(peak_memory);
            if let Some(status) = self.running.status()? {
                return Ok(StopResult { took: start.elapsed(), clean: status.success(), peak_memory });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.running.kill()?;
        Ok(StopResult { took: start.elapsed(), clean: false, peak_memory })
    }

    /// Stops the server with SIGTERM, and returns how long that took.
    pub(crate) fn stop(mut self) -> Result<Duration> {
        let start = Instant::now();
        self.running.terminate()?;
        let status = self.running.wait()?;
        if !status.success() {
            let last = last_line(&self.data_dir.join(LOG)).unwrap_or_default();
            bail!("the server stopped with {status}; its last log line is `{last}`");
        }
        Ok(start.elapsed())
    }
}

fn configure(data_dir: &Path, settings: &toml::Table) -> Result<()> {
    // Calls are counted as usual, but a load test makes more of them than a caller may.
    fs::write(data_dir.join("limits.toml"), HIGH_LIMITS).context("could not write the server's rate limits")?;
    fs::write(data_dir.join(SETTINGS), settings.to_string()).context("could not write the server's settings")
}

/// Starts the server on a data directory that contains its settings.
fn serve(program: &Path, data_dir: &Path) -> Result<Process> {
    let log = data_dir.join(LOG);
    let mut command = Command::new(program);
    command.arg("serve").arg("--data-dir").arg(data_dir).arg("--config").arg(data_dir.join(SETTINGS));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.stderr(File::create(&log).context("could not make the server's log")?);
    Process::start(&mut command).map_err(|error| match last_line(&log) {
        Some(line) => error.context(format!("the last log line is `{line}`")),
        None => error,
    })
}

/// Returns the last line of a log.
fn last_line(log: &Path) -> Option<String> {
    fs::read_to_string(log).ok()?.lines().last().map(str::to_owned)
}
