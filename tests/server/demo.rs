//! The command `demo`, started as a new user starts it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, eventually, profile_path, signal};

/// A demo that has printed its banner.
struct Demo {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    banner: String,
    /// The variables of a shell that has read the file named in the banner.
    variables: BTreeMap<String, String>,
}

fn command(data_dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(data_dir).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Demo {
    fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut child = command(data_dir, more).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("The next start continues") {
            assert!(stdout.read_line(&mut banner).unwrap() > 0, "it ended: {banner}");
        }
        let file = std::fs::read_to_string(data_dir.join("demo.env")).unwrap();
        let exports = file.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables = exports.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { child, _stdout: stdout, banner, variables }
    }

    fn get(&self, who: &str) -> Response {
        let listen: SocketAddr =
            self.variables["API"].strip_prefix("http://").unwrap().strip_suffix("/api/v2").unwrap().parse().unwrap();
        let path = profile_path(&self.variables["WHO"]);
        Request::new("GET", path).bearer(&self.variables[who]).header("x-access-reason", "demo").send(listen)
    }

    /// Stops the demo as Ctrl-C does.
    fn interrupt(mut self) {
        signal(self.child.id(), "INT");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert_eq!(complaints, "");
    }
}

#[test]
fn a_demo_prints_what_to_try_and_can_be_started_again() {
    let directory = TempDir::new().unwrap();
    let demo = Demo::start(directory.path(), &["--users", "40", "--events-per-second", "50"]);
    assert!(demo.banner.contains("Loaded 40 citizens"), "{}", demo.banner);
    assert!(!demo.banner.contains('\x1b'), "no colours without a terminal");
    for command in ["curl -s $API/profile/$WHO", "watch $WHO --server", "curl -s -X PUT $API/profile/$WHO/consent"] {
        assert!(demo.banner.contains(command), "{}", demo.banner);
    }
    for token in ["CITIZEN", "SERVICE", "THIRD_PARTY", "AGENT", "ADMIN"] {
        assert_eq!(demo.get(token).status, 200, "{token}");
    }
    assert_eq!(demo.get("AUDITOR").status, 404);
    let first = demo.get("CITIZEN").json();
    assert!(first["profile_completeness_pct"].as_u64() > Some(60), "{first}");
    eventually("life goes on", || demo.get("CITIZEN").json()["revision"] != first["revision"]);
    let last = demo.get("CITIZEN").json()["revision"].as_u64();
    demo.interrupt();

    let again = Demo::start(directory.path(), &["--events-per-second", "0"]);
    assert!(again.banner.contains("Found 40 citizens"), "{}", again.banner);
    let found = again.get("CITIZEN").json();
    assert_eq!(found["profile_id"], first["profile_id"]);
    assert!(found["revision"].as_u64() >= last);
    again.interrupt();

    let other = command(directory.path(), &["--users", "50"]).output().unwrap();
    let complaint = String::from_utf8(other.stderr).unwrap();
    assert_eq!((other.status.code(), complaint.contains("has 40 citizens, not 50")), (Some(1), true), "{complaint}");
}

#[test]
fn a_start_that_failed_leaves_no_citizens_behind() {
    let directory = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--users", "50", "--data-dir"]).arg(directory.path());
    // Without a flag, the environment applies.
    command.env("PROFILE_SERVER__LISTEN", taken.local_addr().unwrap().to_string());
    command.env("PROFILE_SERVER__ADMIN_LISTEN", "127.0.0.1:0");
    let failed = command.output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    let demo = Demo::start(directory.path(), &["--users", "60", "--events-per-second", "0"]);
    assert!(demo.banner.contains("Loaded 60 citizens"), "{}", demo.banner);
    demo.interrupt();
}

#[test]
fn a_demo_leaves_the_data_of_others_alone() {
    let directory = TempDir::new().unwrap();
    std::fs::create_dir(directory.path().join("journal")).unwrap();
    let refused = command(directory.path(), &[]).output().unwrap();
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(
        (refused.status.code(), complaint.contains("choose another --data-dir")),
        (Some(1), true),
        "{complaint}"
    );
    assert!(!directory.path().join("demo.json").exists());
}

#[test]
fn a_demo_that_was_broken_off_is_completed_by_the_next_start() {
    let directory = TempDir::new().unwrap();
    let mut broken = command(directory.path(), &["--users", "400", "--events-per-second", "0"]).spawn().unwrap();
    eventually("it has begun", || directory.path().join("demo.json").exists());
    broken.kill().unwrap();
    broken.wait().unwrap();
    let mut stopped = command(directory.path(), &["--events-per-second", "0"]).spawn().unwrap();
    let mut stdout = BufReader::new(stopped.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    signal(stopped.id(), "INT");
    let stopped = stopped.wait_with_output().unwrap();
    assert_eq!((stopped.status.code(), String::from_utf8(stopped.stderr).unwrap().as_str()), (Some(0), ""));
    let demo = Demo::start(directory.path(), &["--events-per-second", "0"]);
    assert!(demo.banner.contains("Loaded 400 citizens"), "{}", demo.banner);
    assert_eq!(demo.get("SERVICE").status, 200);
    demo.interrupt();
}
