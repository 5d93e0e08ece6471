//! Each limit of `config/limits.toml` over the wire: the last allowed call passes, the next does not, and calls return one by
//! one when the window has slid over them.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::moved_clock::MovedClock;
use crate::test_server::{TestServer, USER, feed_path, profile_path, residency};
use crate::token::{Token, now};

/// The classes whose operations no route has yet. A class that gets one needs a case below.
const NOT_SERVED: [&str; 5] = ["diff", "snapshots", "assemble", "export", "internal"];
/// The limit of a service in these tests. It is greater than a window's log is long, as the default of 600,000 is.
const SERVICE_LIMIT: u64 = 1_000;

/// A server with the default limits, but for [`SERVICE_LIMIT`], and its clock.
struct Fixture {
    server: TestServer,
    clock: MovedClock,
}

fn fixture() -> Fixture {
    let data_dir = TempDir::new().unwrap();
    let limits = config::LIMITS_TOML.replace("service_limit = 600_000", &format!("service_limit = {SERVICE_LIMIT}"));
    assert_ne!(limits, config::LIMITS_TOML);
    fs::write(data_dir.path().join("limits.toml"), limits).unwrap();
    let (clock, server) = MovedClock::start(data_dir);
    server.post_example();
    Fixture { server, clock }
}

/// Returns the value of a limit in the embedded file.
fn default_limit(class: &str, key: &str) -> u64 {
    let table: toml::Table = config::LIMITS_TOML.parse().unwrap();
    table[class][key].as_integer().unwrap().try_into().unwrap()
}

#[track_caller]
fn check_refused(answer: &Response, name: &str) -> u64 {
    assert_eq!((answer.status, answer.problem().as_str()), (429, "rate-limit-exceeded"), "{name}: {answer:?}");
    let seconds = answer.header("retry-after");
    assert_eq!(answer.header("ratelimit"), format!("\"{name}\";r=0;t={seconds}"));
    seconds.parse().unwrap()
}

impl Fixture {
    /// Checks a limit of so many calls a minute. `call` makes one that is counted, whatever its answer.
    #[track_caller]
    fn check(&self, name: &str, limit: u64, call: &dyn Fn(&TestServer) -> Response) {
        let policy = format!("\"{name}\";q={limit};w=60");
        let allowed = |left: u64| {
            let answer = call(&self.server);
            assert_ne!(answer.status, 429, "{name}, {left} left: {answer:?}");
            assert_eq!(answer.header("ratelimit"), format!("\"{name}\";r={left}"), "{answer:?}");
            assert_eq!(answer.header("ratelimit-policy"), policy);
        };
        allowed(limit - 1);
        self.clock.advance(30);
        (0..limit - 1).rev().for_each(allowed);
        let seconds = check_refused(&call(&self.server), name);
        assert!((1..=30).contains(&seconds), "{name}: {seconds}");
        // The first call is a minute old when as many seconds have passed, and not much earlier.
        self.clock.advance(seconds.saturating_sub(10));
        if seconds > 10 {
            check_refused(&call(&self.server), name);
        }
        self.clock.advance(seconds.min(10));
        allowed(0);
        check_refused(&call(&self.server), name);
        // A minute later nothing is left of them.
        self.clock.advance(60);
        allowed(limit - 1);
    }
}

fn get(server: &TestServer, path: &str, token: &Token) -> Response {
    server.send(Request::new("GET", path).bearer(&server.sign(token.clone())).header("x-access-reason", "a test"))
}

#[test]
fn every_class_of_callers_is_exact() {
    let fixture = fixture();
    let post_ticket = |server: &TestServer| {
        let token = server.sign(Token::citizen(USER));
        server.send(Request::new("POST", "/api/v2/live/ticket").bearer(&token))
    };
    fixture.check("auth", default_limit("auth", "limit"), &post_ticket);
    let read_audit = |server: &TestServer| get(server, "/api/v2/audit", &Token::new("auditor", "aud:a", ""));
    fixture.check("sensitive", default_limit("sensitive", "limit"), &read_audit);
    let agent = Token::new("agent", "agt:a", "section:family").with("act", json!({ "sub": USER }));
    let people = [
        Token::citizen(USER),
        agent,
        Token::new("admin", "adm:a", "profile:read"),
        // Calls that are refused for the role count, too.
        Token::new("auditor", "aud:b", ""),
    ];
    for token in people {
        fixture.check("read", default_limit("read", "limit"), &|server| get(server, &profile_path(USER), &token));
    }
    let service = Token::service("profile:read");
    fixture.check("read", SERVICE_LIMIT, &|server| get(server, &profile_path(USER), &service));
    let consent = |server: &TestServer| {
        let request = Request::new("PUT", format!("{}/consent", profile_path(USER)));
        let request = request.bearer(&server.sign(Token::citizen(USER)));
        server.send(request.body("application/json", r#"{"data_sharing_level":"standard"}"#))
    };
    fixture.check("write", default_limit("write", "limit"), &consent);
}

#[test]
fn every_limit_of_addresses_is_exact() {
    let fixture = fixture();
    let wrong_token = |server: &TestServer| server.send(Request::new("GET", profile_path(USER)).bearer("x"));
    fixture.check("failures", default_limit("addresses", "failures"), &wrong_token);
    let page = |server: &TestServer| server.send(Request::new("GET", "/api/v2/schemas"));
    fixture.check("anonymous", default_limit("addresses", "anonymous"), &page);
    let begin = |server: &TestServer| {
        server.send(Request::new("POST", "/api/v2/session").body("application/json", r#"{"code":"x"}"#))
    };
    fixture.check("auth", default_limit("auth", "limit"), &begin);
    // Accepted callers of the address have all their calls.
    fixture.check("read", 100, &|server| get(server, &profile_path(USER), &Token::citizen(USER)));
}

#[test]
fn feeds_are_not_counted() {
    let Fixture { server, .. } = fixture();
    let token = server.sign(Token::service("feed:metadata"));
    for number in 0..150 {
        let event = residency(USER, &format!("e-{number}"), "2026-01-20T00:00:00Z", number % 50).to_string();
        let request = Request::new("POST", feed_path("metadata")).bearer(&token);
        let answer = server.send(request.body("application/cloudevents+json", event));
        assert!(answer.status == 200 && !answer.headers.contains_key("ratelimit"), "{answer:?}");
    }
}

#[test]
fn every_class_of_the_file_has_a_case() {
    let table: toml::Table = config::LIMITS_TOML.parse().unwrap();
    let tested = ["auth", "sensitive", "read", "write", "feed", "addresses", "flood"];
    let mut known: Vec<&str> = tested.into_iter().chain(NOT_SERVED).collect();
    known.sort_unstable();
    let mut found: Vec<&str> = table.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn problems_of_counted_calls_tell_what_is_left() {
    let Fixture { server, .. } = fixture();
    let operator = Token::new("admin", "adm:a", "operate").with("amr", json!(["mfa"])).with("auth_time", now());
    let put = |body: &'static str| {
        let request = Request::new("PUT", format!("{}/consent", profile_path(USER)));
        request.bearer(&server.sign(Token::citizen(USER))).body("application/json", body)
    };
    let unknown = profile_path("usr_SomebodyElse01");
    let on_admin = |token: &Token, path: &str| {
        let request =
            Request::new("POST", path).bearer(&server.sign(token.clone())).header("x-access-reason", "a test");
        request.body("application/json", "{}").send(server.admin_listen)
    };
    let plain = Token::new("admin", "adm:b", "operate");
    for (answer, status, policy, state) in [
        (get(&server, &unknown, &Token::citizen(USER)), 404, "\"read\";q=100;w=60", "\"read\";r=99"),
        (get(&server, "/api/v2/operations", &Token::citizen(USER)), 403, "\"read\";q=100;w=60", "\"read\";r=98"),
        (server.send(put("[]")), 422, "\"write\";q=50;w=60", "\"write\";r=49"),
        (on_admin(&plain, "/admin/limits/reset"), 401, "\"write\";q=50;w=60", "\"write\";r=49"),
        (on_admin(&operator, "/admin/limits/reset"), 400, "\"write\";q=50;w=60", "\"write\";r=49"),
        (server.send(Request::new("GET", profile_path(USER))), 401, "\"failures\";q=60;w=60", "\"failures\";r=59"),
        (server.send(Request::new("GET", "/nothing")), 404, "\"anonymous\";q=300;w=60", "\"anonymous\";r=299"),
        (server.send(Request::new("GET", "/docs/nothing")), 404, "\"anonymous\";q=300;w=60", "\"anonymous\";r=298"),
        // What a path counts for depends on the method, too.
        (server.send(Request::new("POST", "/api/v2/session")), 415, "\"auth\";q=10;w=60", "\"auth\";r=9"),
        (server.send(Request::new("PUT", "/api/v2/session")), 405, "\"anonymous\";q=300;w=60", "\"anonymous\";r=297"),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!((answer.header("ratelimit-policy"), answer.header("ratelimit")), (policy, state), "{answer:?}");
    }
    for method in ["GET", "HEAD"] {
        let token = server.sign(Token::citizen(USER));
        let answer = server.send(Request::new(method, "/api/v2/session").bearer(&token));
        assert_eq!(answer.header("ratelimit-policy"), "\"auth\";q=10;w=60", "{method}");
    }
    let preflight = server.send(Request::new("OPTIONS", "/api/v2/session"));
    assert!(preflight.status == 204 && !preflight.headers.contains_key("ratelimit"), "{preflight:?}");
    let health = server.send(Request::new("GET", "/health/live"));
    assert!(health.status == 200 && !health.headers.contains_key("ratelimit"), "{health:?}");
}
