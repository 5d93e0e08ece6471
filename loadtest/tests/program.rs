//! The program from outside: its usage, its messages, and the bare handlers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest")).args(arguments).output().expect("the program runs")
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, expected: &str) {
    let output = loadtest(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(expected), "{stderr}");
    assert!(code == 2 || stderr.lines().count() == 1, "one line: {stderr}");
}

#[test]
fn help_has_examples_and_list_shows_the_settings() {
    let help = loadtest(&["run", "--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("loadtest run --quick"));
    let list = String::from_utf8(loadtest(&["list"]).stdout).expect("text");
    let attacks = ["neighbours", "amplification", "bodies", "existence"];
    for name in ["read", "post", "live", "fanout", "ingest", "warm", "erasure", "batch"].into_iter().chain(attacks) {
        assert!(list.contains(&format!("kind = \"{name}\"")), "{list}");
    }
}

#[test]
fn a_mistake_is_one_line_that_says_how_to_fix_it() {
    fails(&["run", "--scenario", "reed"], 1, "one of read, post, live, fanout, ingest");
    fails(&["run", "--scenario", "post", "--set", "user=5"], 1, "the scenario has no setting `user`");
    fails(&["run", "--scenario", "read", "--users", "5"], 1, "the scenario has no setting `users`");
    fails(&["run", "--scenario", "post", "--server", "no/such/server"], 1, "build it first, or give its path");
    fails(&["run", "--rate", "5"], 2, "unexpected argument");
}

#[test]
fn a_server_that_does_not_get_ready_is_reported_with_its_last_log_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = folder.path().join("server");
    std::fs::write(&server, "#!/bin/sh\necho 'the port is busy' >&2\nexit 1\n").expect("written");
    let mut permissions = std::fs::metadata(&server).expect("a file").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&server, permissions).expect("executable");
    let output = loadtest(&["run", "--quick", "--scenario", "post", "--server", server.to_str().expect("a path")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("the port is busy") && stderr.contains("did not get ready"), "{stderr}");
}

/// A bare handler that runs, with its address. It is killed when dropped.
struct Handler(Child, String);

impl Handler {
    fn start(arguments: &[&str], input: &[u8]) -> Self {
        let mut handler = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        handler.stdin.take().expect("stdin").write_all(input).expect("written");
        let mut ready = String::new();
        BufReader::new(handler.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
        Self(handler, ready["listen"].as_str().expect("an address").to_owned())
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.kill().expect("running");
        self.0.wait().expect("ended");
    }
}

#[test]
fn the_bare_handler_sends_what_it_was_given() {
    let response = br#"{"headers":[["etag","\"e1-r42-x7\""],["x-profile-revision","42"]],"body":"{\"revision\":42}"}"#;
    let handler = Handler::start(&["baseline", "--workers", "1"], response);
    let same = exchange(&handler.1, "GET /same", "", "");
    let bare = exchange(&handler.1, "GET /bare", "", "");
    for answer in [&same, &bare] {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"revision\":42}"), "{answer}");
    }
    assert!(same.contains("etag: \"e1-r42-x7\"\r\n") && same.contains("x-profile-revision: 42\r\n"), "{same}");
    assert!(!bare.contains("etag"), "{bare}");
}

#[test]
fn the_bare_log_stores_what_it_acknowledges_and_refuses_what_is_not_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("a path");
    let log = Handler::start(&["floor", "--workers", "2", "--directory", path], b"");
    let post = |kind: &str, body: &str| {
        exchange(&log.1, "POST /api/v2/feeds/self", &format!("Content-Type: {kind}\r\n"), body)
    };
    let event = post("application/cloudevents+json", r#"{"id":"one"}"#);
    assert!(event.starts_with("HTTP/1.1 200") && event.contains("applied"), "{event}");
    let broken = post("application/cloudevents+json", r#"{"id":"#);
    assert!(broken.starts_with("HTTP/1.1 400"), "{broken}");
    let lines: String = (0..25_000).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    let stream = post("application/x-ndjson", &lines);
    assert!(stream.contains("\"progress\":") && stream.contains("\"total\":25000"), "{stream}");
    assert!(stream.contains("\"applied\":25000"), "{stream}");
    let segment = std::fs::read(directory.path().join("0000000000.segment")).expect("a segment");
    let stored = String::from_utf8_lossy(&segment);
    let stored = stored.trim_end_matches('\0');
    assert_eq!(stored.lines().next(), Some(r#"{"id":"one"}"#));
    assert_eq!(stored.lines().count(), 25_001);
    assert!(stored.ends_with("{\"n\":24999}\n"));
}

fn exchange(address: &str, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
