//! Rate limits over HTTP.

use std::fs;

use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, eventually, profile_path, start_on};
use crate::token::Token;

/// Starts a server with the default limits, some of them changed.
fn start(changes: &[(&str, &str)]) -> TestServer {
    let data_dir = TempDir::new().unwrap();
    write(&data_dir, changes);
    start_on(data_dir)
}

fn write(data_dir: &TempDir, changes: &[(&str, &str)]) {
    let limits = changes.iter().fold(config::LIMITS_TOML.to_owned(), |limits, (from, to)| {
        assert!(limits.contains(from), "{from}");
        limits.replacen(from, to, 1)
    });
    fs::write(data_dir.path().join("limits.toml"), limits).unwrap();
}

fn read(server: &TestServer) -> Response {
    server.get(&profile_path(USER), Token::citizen(USER))
}

#[test]
fn the_last_allowed_call_passes_and_the_next_is_429() {
    let server = start(&[]);
    server.post_example();
    for left in (0..100).rev() {
        let answer = read(&server);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"read\";q=100;w=60");
        assert_eq!(answer.header("ratelimit"), format!("\"read\";r={left}"));
    }
    let answer = read(&server);
    assert_eq!(answer.status, 429);
    let problem = answer.json();
    assert_eq!(problem["type"], "/problems/rate-limit-exceeded");
    assert_eq!(problem["error"], "rate_limit_exceeded");
    assert_eq!(problem["message"], problem["detail"]);
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("ratelimit"), format!("\"read\";r=0;t={seconds}"));
    assert_eq!(answer.header("ratelimit-policy"), "\"read\";q=100;w=60");
    assert_eq!(server.metric("profile_rate_limited_total{class=\"read\"}"), 1.0);
    // Other callers and other classes have their own counts.
    let service = server.get(&profile_path(USER), Token::service("profile:read"));
    assert_eq!((service.status, service.header("ratelimit-policy")), (200, "\"read\";q=600000;w=60"));
    let token = server.sign(Token::citizen(USER));
    let ticket = server.send(Request::new("POST", "/api/v2/live/ticket").bearer(&token));
    assert_eq!(ticket.header("ratelimit"), "\"auth\";r=9", "{ticket:?}");
}

#[test]
fn failures_and_anonymous_calls_are_counted_by_address_and_callers_are_not() {
    let server = start(&[("failures = 60", "failures = 2"), ("anonymous = 300", "anonymous = 3")]);
    server.post_example();
    let statuses: Vec<u16> =
        (0..4).map(|_| server.send(Request::new("GET", profile_path(USER)).bearer("x")).status).collect();
    assert_eq!(statuses, [401, 401, 429, 429]);
    let pages: Vec<u16> = (0..4).map(|_| server.send(Request::new("GET", "/api/v2/schemas")).status).collect();
    assert_eq!(pages, [200, 200, 200, 429]);
    assert_eq!(server.send(Request::new("GET", "/nothing")).status, 429, "addresses without a route count, too");
    assert_eq!(read(&server).status, 200, "an accepted caller behind the same address");
    for _ in 0..10 {
        assert_eq!(server.send(Request::new("GET", "/health/live")).status, 200, "health checks are not counted");
    }
    assert_eq!(server.metric("profile_rate_limited_total{class=\"failures\"}"), 2.0);
    assert_eq!(server.metric("profile_rate_limited_total{class=\"anonymous\"}"), 2.0);
}

#[test]
fn changed_limits_are_followed_and_keep_what_was_counted() {
    let server = start(&[("limit = 100\n", "limit = 2\n")]);
    server.post_example();
    assert_eq!([read(&server).status, read(&server).status, read(&server).status], [200, 200, 429]);
    write(&server.data_dir, &[("limit = 100\n", "limit = 5\n")]);
    eventually("the limits are followed", || read(&server).status == 200);
    assert_eq!(read(&server).header("ratelimit"), "\"read\";r=1");
    fs::write(server.data_dir.path().join("limits.toml"), "[read]\nlimit = 0").unwrap();
    eventually("the fault is logged", || server.log().contains("`limits.toml` is not valid"));
    assert_eq!([read(&server).status, read(&server).status], [200, 429], "the limits in use are kept");
}

#[test]
fn a_flood_of_all_clients_is_capped() {
    let server = start(&[("per_second = 100_000", "per_second = 20")]);
    let statuses: Vec<u16> = (0..200).map(|_| server.send(Request::new("GET", "/api/v2/schemas")).status).collect();
    assert!(statuses.contains(&429) && statuses[0] == 200);
    assert!(server.metric("profile_rate_limited_total{class=\"flood\"}") > 0.0);
}
