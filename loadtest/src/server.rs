//! Starts and stops the programs that are measured, on free ports and temporary data.

use crate::disk::DiskUsage;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The line that a program prints on stdout when it is ready.
#[derive(Deserialize)]
struct ReadyLine {
    event: String,
    listen: SocketAddr,
    #[serde(default)]
    admin_listen: Option<SocketAddr>,
}

/// A program that is ready for requests. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// The address that it listens on.
    pub(crate) listen: SocketAddr,
    admin_listen: Option<SocketAddr>,
    /// Kept open, so that the program does not get a broken pipe.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a program and waits for its ready line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = command.stdout(Stdio::piped()).spawn();
        let mut child =
            started.with_context(|| format!("could not start `{program}`: build it first, or give its path"))?;
        let mut stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line).context("could not read the ready line")?;
        let ready = serde_json::from_str::<ReadyLine>(&line).ok().filter(|ready| ready.event == "ready");
        let Some(ready) = ready else {
            let _ = child.kill();
            let status = child.wait().context("could not wait for the program")?;
            bail!("`{program}` did not get ready ({status}); its output was `{}`", line.trim());
        };
        Ok(Self { child, listen: ready.listen, admin_listen: ready.admin_listen, _stdout: stdout })
    }

    /// Returns the processor time that all threads have used so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string())
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_as("VmRSS:")
    }

    /// Returns the peak resident memory in bytes, or 0 after the process has ended.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory_as("VmHWM:")
    }

    /// Returns the bytes that the process has written to the disk so far.
    pub(crate) fn written(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap_or_default();
        let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
    }

    /// Returns a value of `/proc/PID/status` in bytes, by the start of its line.
    fn memory_as(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
        kib.unwrap_or_default() * 1_024
    }
}

/// Returns the processor time that this program has used so far.
pub(crate) fn own_cpu() -> Duration {
    cpu_of("self")
}

/// Returns the processor time that the programs started by this one, and ended, have used in all.
pub(crate) fn ended_cpu() -> Duration {
    cpu_fields("self", 13)
}

/// Returns the processor time of a process, by its name in `/proc`.
fn cpu_of(process: &str) -> Duration {
    cpu_fields(process, 11)
}

/// Returns the sum of two times in `/proc/PROCESS/stat`, user and system time, of which the first has this position after
/// the process's name.
fn cpu_fields(process: &str, position: usize) -> Duration {
    /// The unit of times in `/proc`.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name is in parentheses and may contain any character.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(position).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's settings, in its data directory.
const SETTINGS: &str = "loadtest.toml";
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

/// The profile server with a temporary data directory.
pub(crate) struct Server {
    program: PathBuf,
    data_dir: TempDir,
    running: Process,
}

impl Server {
    /// Starts the server with settings that override its defaults.
    pub(crate) fn start(program: &Path, scratch: &Path, settings: &toml::Table) -> Result<Self> {
        let data_dir = tempfile::Builder::new().prefix("loadtest-").tempdir_in(scratch);
        let data_dir = data_dir.with_context(|| format!("could not make a directory in `{}`", scratch.display()))?;
        let config = data_dir.path().join(SETTINGS);
        fs::write(&config, settings.to_string()).context("could not write the server's settings")?;
        let running = serve(program, data_dir.path())?;
        Ok(Self { program: program.to_owned(), data_dir, running })
    }

    /// Kills the server if it still runs, and starts it again on the same data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let _ = self.running.child.kill();
        self.running.child.wait().context("could not wait for the server")?;
        self.running = serve(&self.program, self.data_dir.path())?;
        Ok(())
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
        let output = Command::new(&self.program)
            .arg("token")
            .arg("--data-dir")
            .arg(self.data_dir.path())
            .args(["--sub", subject, "--role", role, "--scope", scope])
            .output()
            .context("could not run the token command")?;
        if !output.status.success() {
            bail!("no token for `{subject}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout).context("a token that is not text")?.trim().to_owned())
    }

    /// Returns the allocated bytes of all files in the data directory.
    pub(crate) fn allocated(&self) -> u64 {
        DiskUsage::allocated_below(self.data_dir.path())
    }

    /// Returns the path of the data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// Returns the disk usage of the data directory without this program's own files.
    pub(crate) fn usage(&self) -> DiskUsage {
        DiskUsage::below(self.data_dir.path(), &[SETTINGS, LOG])
    }

    /// Stops the server with SIGTERM, so that it makes its last checkpoint, and kills it if it takes longer than
    /// `patience`.
    pub(crate) fn stop_within(&mut self, patience: Duration) -> Result<StopResult> {
        let start = std::time::Instant::now();
        let pid = rustix::process::Pid::from_child(&self.running.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("could not signal the server")?;
        let mut peak_memory = 0;
        while start.elapsed() < patience {
            peak_memory = self.running.peak_memory().max(peak_memory);
            if let Some(status) = self.running.child.try_wait().context("could not wait for the server")? {
                return Ok(StopResult { took: start.elapsed(), clean: status.success(), peak_memory });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.running.child.kill();
        self.running.child.wait().context("could not wait for the server")?;
        Ok(StopResult { took: start.elapsed(), clean: false, peak_memory })
    }

    /// Stops the server with SIGTERM, and returns how long that took.
    pub(crate) fn stop(mut self) -> Result<Duration> {
        let start = std::time::Instant::now();
        let pid = rustix::process::Pid::from_child(&self.running.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("could not signal the server")?;
        let status = self.running.child.wait().context("could not wait for the server")?;
        if !status.success() {
            let last = last_line(&self.data_dir.path().join(LOG)).unwrap_or_default();
            bail!("the server stopped with {status}; its last log line is `{last}`");
        }
        Ok(start.elapsed())
    }
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
