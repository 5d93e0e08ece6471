//! Log lines: how lost lines are reported, and what no line may contain.

use std::fs::File;
use std::io::{Read, pipe};

use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{
    TestServer, USER, eventually, profile_path, start_server, start_server_with, start_with_stderr,
};
use crate::token::Token;

const LOST: &str = "profile_log_lines_lost_total";

fn admin() -> Token {
    Token::new("admin", "adm:root", "profile:read")
}

fn read_as(server: &TestServer, token: Token, reason: &str) -> Response {
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(token));
    server.send(request.header("x-access-reason", reason))
}

/// Reads as an administrator, which writes a log line.
#[track_caller]
fn serves_and_drains(server: TestServer) {
    server.post_example();
    assert_eq!(read_as(&server, admin(), "a test").status, 200);
    assert!(server.metric(LOST) >= 1.0, "the line is counted");
    assert_eq!(read_as(&server, admin(), "a test").status, 200);
    let (status, data_dir) = server.terminate();
    assert_eq!(status.code(), Some(0), "it drains, and ends as it should");
    let server = crate::test_server::start_on(data_dir);
    assert_eq!(server.own_profile(USER).json()["profile_completeness_pct"], 100);
}

#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    serves_and_drains(start_with_stderr(TempDir::new().unwrap(), full));
}

#[test]
fn a_broken_pipe_under_the_log_stops_nothing() {
    let (reader, writer) = pipe().unwrap();
    let server = start_with_stderr(TempDir::new().unwrap(), writer);
    drop(reader);
    serves_and_drains(server);
}

#[test]
fn a_reader_of_the_log_that_stops_reading_stops_nothing() {
    let (mut reader, writer) = pipe().unwrap();
    let data_dir = TempDir::new().unwrap();
    std::fs::write(data_dir.path().join("config.local.toml"), "[log]\nlevel = \"debug\"").unwrap();
    let server = start_with_stderr(data_dir, writer);
    eventually("the pipe is full, and lines are lost", || {
        (0..100).for_each(|_| assert_eq!(Request::new("GET", "/health/live").send(server.listen).status, 200));
        server.metric(LOST) > 0.0
    });
    serves_and_drains(server);
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    assert!(log.lines().count() > 100, "the lines that fitted into the pipe are complete");
}

#[test]
fn a_reason_is_taken_in_any_language_and_bounded() {
    let server = start_server();
    server.post_example();
    for reason in ["Prüfung", "शिकायत की जाँच", &"क".repeat(256)] {
        assert_eq!(read_as(&server, admin(), reason).status, 200, "{reason}");
        assert!(server.log().contains(&format!("reason={reason:?}")), "{reason}");
    }
    for reason in ["a".repeat(257), "a.".repeat(20_000)] {
        let answer = read_as(&server, admin(), &reason);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-parameter"));
        assert!(!server.log().contains(&reason));
    }
    let twice = Request::new("GET", profile_path(USER)).bearer(&server.sign(admin()));
    let answer = server.send(twice.header("x-access-reason", "complaint 42").header("x-access-reason", "complaint 43"));
    assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-request"));
}

#[test]
fn a_reason_is_checked_only_when_the_scope_allows_the_read() {
    let server = start_server();
    server.post_example();
    let unscoped = || Token::new("admin", "adm:root", "operate");
    for tail in ["", "/completeness", "/events"] {
        let path = format!("{}{tail}", profile_path(USER));
        let request = Request::new("GET", path).bearer(&server.sign(unscoped()));
        let answer = server.send(request.header("x-access-reason", "curiosity killed the cat"));
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"), "{tail}");
    }
    assert_eq!(read_as(&server, unscoped(), &"a.".repeat(20_000)).status, 404);
    assert!(!server.log().contains("curiosity") && !server.log().contains("administrative access"), "{}", server.log());
}

#[test]
fn numbers_of_persons_in_a_reason_are_replaced_in_the_log() {
    let server = start_server_with("[log]\nformat = \"json\"");
    server.post_example();
    for reason in
        ["asked by 2341 2341\u{200b}2346", "asked by २३४१.२३४१.२३४६", "call +91 (98765) 43210", "pan ABCPE 1234 F"]
    {
        assert_eq!(read_as(&server, admin(), reason).status, 200, "{reason}");
    }
    let log = server.log();
    for (found, kind) in [(2, "[aadhaar]"), (1, "[phone]"), (1, "[pan]")] {
        assert_eq!(log.matches(kind).count(), found, "{kind}: {log}");
    }
    assert!(
        !log.contains("2346") && !log.contains("२३४६") && !log.contains("43210") && !log.contains("ABCPE"),
        "{log}"
    );
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn numbers_of_persons_are_replaced_though_the_log_escapes_what_is_invisible() {
    let server = start_server();
    server.post_example();
    assert_eq!(read_as(&server, admin(), "asked by 2341\u{200b}2341\u{2060}2346").status, 200);
    assert!(server.log().contains("asked by [aadhaar]") && !server.log().contains("2346"), "{}", server.log());
}

#[test]
fn every_metric_that_is_shown_has_a_meaning_and_is_documented() {
    let server = start_server();
    server.post_example();
    assert_eq!(read_as(&server, admin(), "a test").status, 200);
    let (answer, page) = (Request::new("GET", "/metrics").send(server.admin_listen), profile_server::metrics_page());
    let mut shown = 0;
    for line in answer.text().lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) else { continue };
        assert!(answer.text().contains(&format!("# HELP {name} ")), "{name} has no meaning");
        if name.starts_with("profile_") {
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name} is documented as no {kind}");
            shown += 1;
        }
    }
    assert!(shown > 20, "only {shown} metrics are shown");
}
