//! A server process for one test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{PATIENCE, Request, Response};
use crate::token::Token;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_profile-server");
/// The fixed time of the example.
pub(crate) const NOW: &str = "2026-01-21T12:00:00Z";
pub(crate) const USER: &str = data::EXAMPLE_USER;

/// A running server. It is killed when dropped.
pub(crate) struct TestServer {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) data_dir: TempDir,
    pub(crate) key: Vec<u8>,
}

/// Starts a server with the default settings, whose clock is fixed at [`NOW`].
pub(crate) fn start_server() -> TestServer {
    start_server_with("")
}

/// Starts a server as [`start_server`] does, with some settings.
pub(crate) fn start_server_with(settings: &str) -> TestServer {
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("config.local.toml"), settings).unwrap();
    start_on(data_dir)
}

/// Starts a server with some settings that may open `files` files.
pub(crate) fn start_server_with_open_files(files: u32, settings: &str) -> TestServer {
    start_server_under(&format!("ulimit -n {files}"), settings)
}

/// Starts a server with some settings from a shell that has run `limits` before.
pub(crate) fn start_server_under(limits: &str, settings: &str) -> TestServer {
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("config.local.toml"), settings).unwrap();
    start_on_under(limits, data_dir)
}

/// Starts a server as [`start_on`] does, from a shell that has run `before`.
pub(crate) fn start_on_under(before: &str, data_dir: TempDir) -> TestServer {
    let server = serve(data_dir.path());
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\"")).arg(PROGRAM).args(server.get_args());
    let log = File::options().create(true).append(true).open(data_dir.path().join("test.log")).unwrap();
    run(command, data_dir, log)
}

/// Starts a server on a data directory that may contain data.
pub(crate) fn start_on(data_dir: TempDir) -> TestServer {
    start_at(data_dir, NOW)
}

/// Starts a server as [`start_on`] does, with another time for assembly.
pub(crate) fn start_at(data_dir: TempDir, clock: &str) -> TestServer {
    let log = File::options().create(true).append(true).open(data_dir.path().join("test.log")).unwrap();
    run(serve_at(data_dir.path(), clock), data_dir, log)
}

/// Starts a server as [`start_at`] does, with its log written to another file.
pub(crate) fn start_with_stderr(data_dir: TempDir, stderr: impl Into<Stdio>) -> TestServer {
    run(serve(data_dir.path()), data_dir, stderr)
}

/// Starts a server whose mode is that of its settings, without a fixed clock.
pub(crate) fn start_in_production(data_dir: TempDir) -> TestServer {
    let log = File::options().create(true).append(true).open(data_dir.path().join("test.log")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(data_dir.path());
    run(command, data_dir, log)
}

fn run(mut command: Command, data_dir: TempDir, stderr: impl Into<Stdio>) -> TestServer {
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value =
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {}", read_log(data_dir.path())));
    assert_eq!(ready["event"], "ready");
    let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
    let key = secret(data_dir.path(), "PROFILE_SERVER_DEV_SECRET").unwrap_or_default();
    TestServer { listen: address("listen"), admin_listen: address("admin_listen"), child, data_dir, key }
}

/// Returns the command that starts a server on free ports.
pub(crate) fn serve(data_dir: &Path) -> Command {
    serve_at(data_dir, NOW)
}

/// Raises the rate limits of the server on a data directory that has none of its own.
pub(crate) fn raise_limits(data_dir: &Path) {
    let path = data_dir.join("limits.toml");
    if !path.exists() {
        fs::write(path, include_str!("../support/high-limits.toml")).unwrap();
    }
}

fn serve_at(data_dir: &Path, clock: &str) -> Command {
    raise_limits(data_dir);
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--fixed-clock", clock]);
    command.arg("--data-dir").arg(data_dir);
    command
}

/// Returns a secret of the data directory; `None` if it is not there, as the development key in production.
fn secret(data_dir: &Path, name: &str) -> Option<Vec<u8>> {
    let text = fs::read_to_string(data_dir.join(".env")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(base64::engine::general_purpose::STANDARD.decode(line).unwrap())
}

fn read_log(data_dir: &Path) -> String {
    fs::read_to_string(data_dir.join("test.log")).unwrap_or_default()
}

impl TestServer {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns everything that the server wrote to stderr.
    pub(crate) fn log(&self) -> String {
        read_log(self.data_dir.path())
    }

    pub(crate) fn sign(&self, token: Token) -> String {
        token.sign(&self.key)
    }

    pub(crate) fn send(&self, request: Request) -> Response {
        request.send(self.listen)
    }

    pub(crate) fn get(&self, path: &str, token: Token) -> Response {
        self.send(Request::new("GET", path).bearer(&self.sign(token)))
    }

    /// Reads a profile as the citizen sees it.
    #[track_caller]
    pub(crate) fn own_profile(&self, user: &str) -> Response {
        let answer = self.get(&profile_path(user), Token::citizen(user));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Posts one event to a feed, as the engine that holds its scope.
    pub(crate) fn post(&self, source: &str, event: impl Into<Vec<u8>>) -> Response {
        self.post_as(source, "application/cloudevents+json", event)
    }

    pub(crate) fn post_as(&self, source: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let token = self.sign(Token::service(&format!("feed:{source}")));
        self.send(Request::new("POST", feed_path(source)).bearer(&token).body(content_type, body))
    }

    /// Posts an event that must be applied.
    #[track_caller]
    pub(crate) fn apply(&self, source: &str, event: &Value) {
        let answer = self.post(source, event.to_string());
        assert_eq!((answer.status, &answer.json()["applied"]), (200, &json!(1)), "{answer:?}");
    }

    /// Posts the example citizen's thirteen events.
    pub(crate) fn post_example(&self) {
        for (source, event) in example() {
            self.apply(&source, &event);
        }
    }

    /// Replaces the citizen's consent.
    #[track_caller]
    pub(crate) fn consent(&self, user: &str, consent: &Value) {
        let token = self.sign(Token::citizen(user));
        let path = format!("{}/consent", profile_path(user));
        let answer = self.send(Request::new("PUT", path).bearer(&token).body("application/json", consent.to_string()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends SIGTERM and waits until the server has ended.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> (ExitStatus, TempDir) {
        signal(self.pid(), "TERM");
        let mut status = None;
        eventually("the server stops", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), std::mem::replace(&mut self.data_dir, TempDir::new().unwrap()))
    }

    /// Kills the server and returns its data directory.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.data_dir, TempDir::new().unwrap())
    }

    /// Returns the value of the metric whose line starts with `name`, or 0 if there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = Request::new("GET", "/metrics").send(self.admin_listen);
        let line =
            metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |figure| figure.parse().unwrap())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap().success());
}

pub(crate) fn profile_path(user: &str) -> String {
    format!("/api/v2/profile/{user}")
}

pub(crate) fn feed_path(source: &str) -> String {
    format!("/api/v2/feeds/{source}")
}

/// Returns the example citizen's events, each with its source.
pub(crate) fn example() -> Vec<(String, Value)> {
    let parsed = data::example_events().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed.map(|event| (event["source"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), event)).collect()
}

/// Returns an event of the metadata engine that sets only the years of residency.
pub(crate) fn residency(user: &str, id: &str, time: &str, years: u32) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/engines/metadata", "type": "user.metadata.updated",
        "subject": user, "time": time, "data": {"fields": {"demographics": {"residency_years": years}}},
    })
}

/// Waits until a condition holds. Fails after [`PATIENCE`].
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}: it did not come");
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Prints a figure that depends on the machine. The test harness shows it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "figures are for people")]
pub(crate) fn print_figure(what: &str, figure: impl std::fmt::Debug) {
    println!("{what}: {figure:?}");
}
