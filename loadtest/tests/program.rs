//! The program from outside: its usage, its messages, and the bare handler.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

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
    for name in ["read", "post", "live", "fanout", "ingest"].into_iter().chain(attacks) {
        assert!(list.contains(&format!("kind = \"{name}\"")), "{list}");
    }
}

#[test]
fn a_mistake_is_one_line_that_says_how_to_fix_it() {
    fails(&["run", "--scenario", "reed"], 1, "one of read, post, live, fanout, ingest");
    fails(&["run", "--scenario", "post", "--set", "user=5"], 1, "the scenario has no setting `user`");
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

#[test]
fn the_bare_handler_sends_what_it_was_given() {
    let mut handler = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["baseline", "--workers", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let response = br#"{"headers":[["etag","\"e1-r42-x7\""],["x-profile-revision","42"]],"body":"{\"revision\":42}"}"#;
    handler.stdin.take().expect("stdin").write_all(response).expect("written");
    let mut ready = String::new();
    BufReader::new(handler.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
    let address = ready["listen"].as_str().expect("an address");

    let same = get(address, "/same");
    let bare = get(address, "/bare");
    handler.kill().expect("running");
    handler.wait().expect("ended");
    for answer in [&same, &bare] {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"revision\":42}"), "{answer}");
    }
    assert!(same.contains("etag: \"e1-r42-x7\"\r\n") && same.contains("x-profile-revision: 42\r\n"), "{same}");
    assert!(!bare.contains("etag"), "{bare}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
