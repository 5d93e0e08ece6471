//! The programs that are measured: they run until they are dropped, and `/proc` tells what they use.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

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
    pub(crate) admin_listen: Option<SocketAddr>,
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

    /// Asks the program to stop, with SIGTERM.
    pub(crate) fn terminate(&self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("could not signal the program")
    }

    /// Returns how the program ended; `None` while it runs.
    pub(crate) fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("could not wait for the program")
    }

    /// Waits until the program ends.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("could not wait for the program")
    }

    /// Kills the program if it still runs.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let _ = self.child.kill();
        self.wait().map(drop)
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
