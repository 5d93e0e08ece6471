//! The server process, which tests start on a data directory and kill.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::http::PATIENCE;
use crate::print_line;

const SERVER: &str = env!("CARGO_BIN_EXE_profile-server");

/// The time that assembly sees: no day turns while a test runs.
pub(crate) const CLOCK: &str = "2026-01-21T12:00:00Z";

/// Data, settings and log that the servers of one test share.
pub(crate) struct Harness {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Harness {
    /// Makes an empty harness on a disk: a file system in memory would hide the cost of syncs.
    pub(crate) fn new() -> Self {
        let parent = fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).expect("cargo's directory for tests");
        let directory = TempDir::new_in(parent).expect("a directory");
        let harness = Self { directory, environment: Vec::new() };
        fs::create_dir(harness.data_dir()).expect("the data directory");
        let limits = include_str!("../support/high-limits.toml");
        fs::write(harness.data_dir().join("limits.toml"), limits).expect("the rate limits");
        // Small segments fill quickly, and an unoptimised build reads one quickly.
        harness.with("http.max_event_bytes", 65_536).with("journal.segment_mib", 1)
    }

    /// Sets `section.key`.
    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        let name = format!("PROFILE_SERVER__{}", key.to_uppercase().replace('.', "__"));
        self.environment.push((name, value.to_string()));
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn with_variable(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns whether some checkpoint removed a segment: every start begins a segment, and nothing else removes one.
    pub(crate) fn was_checkpointed(&self) -> bool {
        !self.data_dir().join("journal/0000000001.segment").exists()
    }

    /// Returns the path of a file beside the data.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns everything that the servers wrote to stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.beside("stderr")).unwrap_or_default()
    }

    /// Begins a start, and does not wait until the server is ready.
    pub(crate) fn spawn(&self) -> Starting {
        let log = File::options().create(true).append(true).open(self.beside("stderr")).expect("the log");
        let mut child = self
            .command("serve")
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--fixed-clock", CLOCK])
            .stderr(log)
            .spawn()
            .expect("the server's process");
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Starting { process: Process(child), lines }
    }

    /// Starts the server, which must become ready.
    #[track_caller]
    pub(crate) fn start(&self) -> Server {
        match self.spawn().ready() {
            Ok(server) => server,
            Err(status) => panic!("the server did not start: {status:?}"),
        }
    }

    /// Returns a token signed with the development secret.
    pub(crate) fn token(&self, sub: &str, role: &str, scope: &str) -> String {
        self.token_with(sub, role, scope, &[])
    }

    /// Returns a token as [`Self::token`] does, whose caller has just used a second factor.
    pub(crate) fn fresh_token(&self, sub: &str, role: &str, scope: &str) -> String {
        self.token_with(sub, role, scope, &["--amr", "mfa"])
    }

    fn token_with(&self, sub: &str, role: &str, scope: &str, more: &[&str]) -> String {
        let output = self
            .command("token")
            .args(["--sub", sub, "--role", role, "--scope", scope, "--ttl", "1h"])
            .args(more)
            .output()
            .expect("the token command");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no token for `{sub}`: {error}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Checks the audit log, which must be sound.
    #[track_caller]
    pub(crate) fn verify_audit(&self) {
        self.verify("verify-audit");
    }

    /// Runs a command that checks the data, which must be sound.
    #[track_caller]
    pub(crate) fn verify(&self, name: &str) {
        let output = self.command(name).output().expect("the command");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Checks the receipt of a user's erasure, which must be valid.
    #[track_caller]
    pub(crate) fn verify_receipt(&self, receipt: &str, user: &str) {
        let path = self.beside("receipt.json");
        fs::write(&path, receipt).expect("the receipt");
        let output = Command::new(SERVER).arg("verify-receipt").arg(&path).args(["--user", user]).output();
        let output = output.expect("the command");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Returns a command of the server's program, without the environment of the test.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(SERVER);
        command.arg(name).arg("--data-dir").arg(self.data_dir());
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Harness {
    /// Prints the last lines of the log if the test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            print_line(&format!("last lines of the server's log:\n{}", last.join("\n")));
        }
    }
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that may not be ready yet.
pub(crate) struct Starting {
    process: Process,
    lines: Receiver<String>,
}

impl Starting {
    /// Waits until the server is ready. The error is the status with which it ended, or `None` if it hung.
    pub(crate) fn ready(mut self) -> Result<Server, Option<ExitStatus>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Err(None),
                Err(RecvTimeoutError::Disconnected) => return Err(self.process.0.wait().ok()),
            };
            if let Some((listen, admin_listen)) = addresses(&line) {
                return Ok(Server { process: self.process, listen, admin_listen });
            }
        }
    }

    /// Sends SIGKILL. Returns whether the server was ready by then.
    pub(crate) fn kill(self) -> bool {
        drop(self.process);
        self.lines.iter().any(|line| addresses(&line).is_some())
    }
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let ready: Value = serde_json::from_str(line).ok().filter(|value: &Value| value["event"] == "ready")?;
    let address = |name: &str| ready[name].as_str()?.trim_start_matches("http://").parse().ok();
    Some((address("listen")?, address("admin_listen")?))
}

/// A server that is ready.
pub(crate) struct Server {
    process: Process,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
}

impl Server {
    pub(crate) fn client(&self, token: &str) -> Client {
        Client::connect(self.listen, token).expect("the server takes connections")
    }

    /// Returns the status of `/health/ready`.
    pub(crate) fn readiness(&self) -> u16 {
        let mut client = Client::connect(self.admin_listen, "").expect("the server takes connections");
        client.get("/health/ready").expect("an answer").status
    }

    /// Waits until the server was killed by its disk, see [`crate::disk::Disk::kill_at`]. After `patience` it is killed here.
    /// Returns whether the disk has done it.
    pub(crate) fn wait_until_killed(mut self, patience: Duration) -> bool {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.0.try_wait() {
                assert_eq!(status.signal(), Some(9), "the server ended by itself: {status}");
                return true;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        false
    }

    /// Sends SIGKILL and waits until the process is gone. The server must have run until then.
    pub(crate) fn kill(mut self) {
        if let Ok(Some(status)) = self.process.0.try_wait() {
            panic!("the server ended by itself: {status}");
        }
    }
}

/// Returns the content of the files below `directory`, by path, for a later comparison.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let mut bytes = Vec::new();
            File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a file");
            found.push((path, bytes));
        }
    }
    found.sort_unstable();
    found
}
