//! The programs that are measured: started here, on free ports and throw-away data, and stopped again.

use crate::disk::Usage;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What a program says on stdout when it is ready.
#[derive(Deserialize)]
struct Ready {
    event: String,
    listen: SocketAddr,
    #[serde(default)]
    admin_listen: Option<SocketAddr>,
}

/// A program that is ready for requests. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    admin_listen: Option<SocketAddr>,
    /// Kept open, so that the program never writes into a closed pipe.
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a program and waits for its ready line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = command.stdout(Stdio::piped()).spawn();
        let mut child =
            started.with_context(|| format!("could not start `{program}`: build it first, or give its path"))?;
        let mut stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line).context("could not read the ready line")?;
        let ready = serde_json::from_str::<Ready>(&line).ok().filter(|ready| ready.event == "ready");
        let Some(ready) = ready else {
            let _ = child.kill();
            let status = child.wait().context("could not wait for the program")?;
            bail!("`{program}` did not get ready ({status}); it said: `{}`", line.trim());
        };
        Ok(Self { child, listen: ready.listen, admin_listen: ready.admin_listen, _stdout: stdout })
    }

    /// Processor time used so far, of all threads.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string())
    }

    /// Memory in use (resident), in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_as("VmRSS:")
    }

    /// The most memory that was ever in use (resident), in bytes; 0 once the process has ended.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory_as("VmHWM:")
    }

    /// A line of the process's status, by its name, in bytes.
    fn memory_as(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
        kib.unwrap_or_default() * 1_024
    }
}

/// Processor time that this program used so far.
pub(crate) fn own_cpu() -> Duration {
    cpu_of("self")
}

/// Processor time of a process, by its name under `/proc`.
fn cpu_of(process: &str) -> Duration {
    /// The kernel tells times in hundredths of a second, whatever its own tick is.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name stands in parentheses and may hold anything; user and system time are the 14th and 15th fields.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's settings, in its data directory.
const SETTINGS: &str = "loadtest.toml";
/// The server's log, in its data directory.
const LOG: &str = "loadtest.log";

/// How a server ended.
pub(crate) struct Stopped {
    pub(crate) took: Duration,
    /// Whether it ended by itself, with success.
    pub(crate) clean: bool,
    /// The most memory that was ever in use (resident), in bytes.
    pub(crate) peak_memory: u64,
}

/// The profile server, on a data directory of its own.
pub(crate) struct Server {
    program: PathBuf,
    data_dir: TempDir,
    running: Running,
}

impl Server {
    /// Starts the server with these settings over its defaults.
    pub(crate) fn start(program: &Path, scratch: &Path, settings: &toml::Table) -> Result<Self> {
        let data_dir = tempfile::Builder::new().prefix("loadtest-").tempdir_in(scratch);
        let data_dir = data_dir.with_context(|| format!("could not make a directory in `{}`", scratch.display()))?;
        let config = data_dir.path().join(SETTINGS);
        fs::write(&config, settings.to_string()).context("could not write the server's settings")?;
        let running = serve(program, data_dir.path())?;
        Ok(Self { program: program.to_owned(), data_dir, running })
    }

    /// Starts the server again on the same data. One that still runs is killed.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let _ = self.running.child.kill();
        self.running.child.wait().context("could not wait for the server")?;
        self.running = serve(&self.program, self.data_dir.path())?;
        Ok(())
    }

    /// Where the API listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.running.listen
    }

    /// Where metrics are told.
    pub(crate) fn admin_listen(&self) -> Result<SocketAddr> {
        self.running.admin_listen.context("the server did not name its admin listener")
    }

    /// The process.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// A token signed with the server's development key.
    pub(crate) fn token(&self, subject: &str, role: &str, scope: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .arg("token")
            .arg("--data-dir")
            .arg(self.data_dir.path())
            .args(["--sub", subject, "--role", role, "--scope", scope])
            .output()
            .context("could not ask for a token")?;
        if !output.status.success() {
            bail!("no token for `{subject}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout).context("a token that is no text")?.trim().to_owned())
    }

    /// Bytes on disk below the data directory.
    pub(crate) fn disk(&self) -> u64 {
        disk(self.data_dir.path())
    }

    /// What lies below the data directory, without this program's own files.
    pub(crate) fn usage(&self) -> Usage {
        Usage::below(self.data_dir.path(), &[SETTINGS, LOG])
    }

    /// Asks the server to stop (SIGTERM), which makes its last checkpoint, and kills it when that takes too long.
    pub(crate) fn stop_within(&mut self, patience: Duration) -> Result<Stopped> {
        let start = std::time::Instant::now();
        let pid = rustix::process::Pid::from_child(&self.running.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("could not signal the server")?;
        let mut peak_memory = 0;
        while start.elapsed() < patience {
            peak_memory = self.running.peak_memory().max(peak_memory);
            if let Some(status) = self.running.child.try_wait().context("could not wait for the server")? {
                return Ok(Stopped { took: start.elapsed(), clean: status.success(), peak_memory });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.running.child.kill();
        self.running.child.wait().context("could not wait for the server")?;
        Ok(Stopped { took: start.elapsed(), clean: false, peak_memory })
    }

    /// Asks the server to stop (SIGTERM) and gives how long that took.
    pub(crate) fn stop(mut self) -> Result<Duration> {
        let start = std::time::Instant::now();
        let pid = rustix::process::Pid::from_child(&self.running.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("could not signal the server")?;
        let status = self.running.child.wait().context("could not wait for the server")?;
        if !status.success() {
            let last = last_line(&self.data_dir.path().join(LOG)).unwrap_or_default();
            bail!("the server stopped with {status} and said `{last}`");
        }
        Ok(start.elapsed())
    }
}

/// Starts the server on a data directory that holds its settings.
fn serve(program: &Path, data_dir: &Path) -> Result<Running> {
    let log = data_dir.join(LOG);
    let mut command = Command::new(program);
    command.arg("serve").arg("--data-dir").arg(data_dir).arg("--config").arg(data_dir.join(SETTINGS));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.stderr(File::create(&log).context("could not make the server's log")?);
    Running::start(&mut command).map_err(|error| match last_line(&log) {
        Some(line) => error.context(format!("the server said `{line}`")),
        None => error,
    })
}

/// The last thing that a program logged.
fn last_line(log: &Path) -> Option<String> {
    fs::read_to_string(log).ok()?.lines().last().map(str::to_owned)
}

fn disk(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
