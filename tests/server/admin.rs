//! The operations of administrators: on the admin listener, for operators, with a reason, and recorded.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, eventually, profile_path, start_on};
use crate::token::{Token, now};

/// Starts a server with the default limits.
fn start() -> TestServer {
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("limits.toml"), config::LIMITS_TOML).unwrap();
    start_on(data_dir)
}

/// An operator who has just authenticated with a second factor.
fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

fn request(server: &TestServer, method: &'static str, path: &str) -> Request {
    let request = Request::new(method, path).bearer(&server.sign(operator()));
    request.header("x-access-reason", "a load test")
}

fn call(server: &TestServer, method: &'static str, path: &str, body: &Value) -> Response {
    request(server, method, path).body("application/json", body.to_string()).send(server.admin_listen)
}

fn read(server: &TestServer) -> u16 {
    server.get(&profile_path(USER), Token::citizen(USER)).status
}

/// Reads until the limit is reached.
fn exhaust(server: &TestServer) {
    for _ in 0..100 {
        assert_eq!(read(server), 200);
    }
    assert_eq!(read(server), 429);
}

#[test]
fn the_allowlist_exempts_a_caller_and_survives_a_restart() {
    let server = start();
    server.post_example();
    exhaust(&server);
    let entry = json!({"caller": USER, "reason": "a load test", "expires_at": "2099-01-01T00:00:00Z"});
    let added = call(&server, "POST", "/admin/allowlist", &entry);
    assert_eq!((added.status, &added.json()["added_by"]), (201, &json!("adm:root")), "{added:?}");
    assert_eq!(read(&server), 200);
    let server = start_on(server.kill());
    let list = request(&server, "GET", "/admin/allowlist").send(server.admin_listen).json();
    assert_eq!(list["items"][0]["caller"], USER, "{list}");
    for _ in 0..150 {
        assert_eq!(read(&server), 200);
    }
    let path = format!("/admin/allowlist?caller={USER}");
    assert_eq!(request(&server, "DELETE", &path).send(server.admin_listen).status, 204);
    assert_eq!(request(&server, "DELETE", &path).send(server.admin_listen).status, 404);
    exhaust(&server);
    for (body, status) in [
        (json!({"caller": USER, "reason": "x", "expires_at": "2020-01-01T00:00:00Z"}), 400),
        (json!({"caller": USER, "reason": " ", "expires_at": "2099-01-01T00:00:00Z"}), 400),
        (json!({"caller": USER, "address": "::1", "reason": "x", "expires_at": "2099-01-01T00:00:00Z"}), 400),
        (json!({"address": "10.0.0.1/8", "reason": "x", "expires_at": "2099-01-01T00:00:00Z"}), 400),
        (json!({"address": "10.0.0.0/8", "reason": "x"}), 400),
    ] {
        assert_eq!(call(&server, "POST", "/admin/allowlist", &body).status, status, "{body}");
    }
}

#[test]
fn counts_of_a_caller_or_an_address_can_be_reset() {
    let server = start();
    server.post_example();
    exhaust(&server);
    assert_eq!(call(&server, "POST", "/admin/limits/reset", &json!({"caller": USER})).status, 204);
    assert_eq!(read(&server), 200);
    let wrong = || server.send(Request::new("GET", profile_path(USER)).bearer("x")).status;
    while wrong() == 401 {}
    assert_eq!(call(&server, "POST", "/admin/limits/reset", &json!({"address": "127.0.0.1"})).status, 204);
    assert_eq!(wrong(), 401);
}

#[test]
fn no_limit_stops_the_revocations_of_an_operator() {
    let server = start();
    let operator = server.sign(operator());
    for number in 0..60 {
        let request = Request::new("POST", "/admin/revocations").bearer(&operator).header("x-access-reason", "a theft");
        let body = json!({"jti": format!("stolen-{number}")}).to_string();
        assert_eq!(request.body("application/json", body).send(server.admin_listen).status, 201, "{number}");
    }
}

#[test]
fn what_takes_something_away_needs_a_fresh_second_factor() {
    let server = start();
    let plain = Token::new("admin", "adm:root", "operate");
    let stale = operator().with("auth_time", now() - 301);
    for (method, path, needs_factor) in [
        ("POST", "/admin/revocations", true),
        ("POST", "/admin/allowlist", true),
        ("DELETE", "/admin/allowlist?caller=svc:x", true),
        ("POST", "/admin/limits/reset", true),
        ("GET", "/admin/allowlist", false),
        ("POST", "/admin/passivate", false),
        ("POST", "/admin/reload", false),
    ] {
        for token in [&plain, &stale] {
            let request =
                Request::new(method, path).bearer(&server.sign(token.clone())).header("x-access-reason", "a test");
            let answer = request.body("application/json", "{}").send(server.admin_listen);
            let is_refused = answer.status == 401 && answer.problem() == "second-factor-needed";
            assert_eq!(is_refused, needs_factor, "{method} {path}: {answer:?}");
        }
        let request = Request::new(method, path).bearer(&server.sign(operator())).header("x-access-reason", "a test");
        let answer = request.body("application/json", "{}").send(server.admin_listen);
        assert_ne!(answer.status, 401, "{method} {path}: {answer:?}");
    }
}

#[test]
fn a_user_is_passivated_and_loaded_again() {
    let server = start();
    server.post_example();
    let body = json!({"user_id": USER});
    eventually("the actor ends", || call(&server, "POST", "/admin/passivate", &body).json()["passivated"] == true);
    assert_eq!(call(&server, "POST", "/admin/passivate", &body).json()["passivated"], false);
    assert_eq!(read(&server), 200);
}

#[test]
fn a_reload_says_what_is_in_force() {
    let server = start();
    let reload = || call(&server, "POST", "/admin/reload", &json!({})).json();
    assert_eq!(reload()["files"][1], json!({"file": "limits.toml", "in_force": true}));
    fs::write(server.data_dir.path().join("limits.toml"), "[read]").unwrap();
    for _ in 0..2 {
        let files = reload();
        assert_eq!(files["files"][1]["in_force"], false, "{files}");
        assert!(files["files"][1]["fault"].as_str().unwrap().contains("limits.toml"), "{files}");
    }
    fs::write(server.data_dir.path().join("limits.toml"), config::LIMITS_TOML).unwrap();
    assert_eq!(reload()["files"][1]["in_force"], true);
}

#[test]
fn the_view_of_operators_has_gauges_and_their_history() {
    let server = start();
    server.post_example();
    let get = |token: Token| {
        let request = Request::new("GET", "/api/v2/operations").bearer(&server.sign(token));
        server.send(request.header("x-access-reason", "a look"))
    };
    let view = get(operator()).json();
    assert!(view["current"]["profile_feed_events_total"].as_f64().unwrap() >= 13.0, "{view}");
    assert_eq!(view["history"]["step_s"], 5);
    eventually("a sample is taken", || {
        let view = get(operator()).json();
        view["history"]["series"]["profile_actors_live"].as_array().is_some_and(|series| !series.is_empty())
    });
    assert_eq!(get(Token::new("admin", "adm:root", "profile:read")).status, 403);
    assert_eq!(get(Token::citizen(USER)).status, 403);
}

#[test]
fn only_operators_with_a_reason_are_admitted_and_only_on_the_admin_listener() {
    let server = start();
    for (method, path) in [
        ("GET", "/admin/allowlist"),
        ("POST", "/admin/allowlist"),
        ("DELETE", "/admin/allowlist?caller=svc:x"),
        ("POST", "/admin/limits/reset"),
        ("POST", "/admin/passivate"),
        ("POST", "/admin/reload"),
    ] {
        let with = |address, token: Token, reason: bool| {
            let request = Request::new(method, path).bearer(&server.sign(token)).body("application/json", "{}");
            let request = if reason { request.header("x-access-reason", "a test") } else { request };
            request.send(address).status
        };
        let (public, admin) = (server.listen, server.admin_listen);
        assert_eq!(with(public, operator(), true), 404, "{method} {path} is not public");
        assert_eq!(with(admin, operator(), false), 400, "{method} {path} needs a reason");
        assert_eq!(with(admin, Token::new("admin", "adm:root", "profile:read"), true), 403, "{method} {path}");
        assert_eq!(with(admin, Token::service("operate"), true), 403, "{method} {path}");
        assert_eq!(Request::new(method, path).send(server.admin_listen).status, 401, "{method} {path}");
    }
}
