//! Revocation over the wire: it ends requests, sockets and streams, and holds after a restart.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{BodyReader, Request, Response, connect, read_head};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, USER, feed_path, profile_path, start_on, start_server};
use crate::token::{Token, now};

/// A token of an operator who has just authenticated with a second factor.
fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

fn request(server: &TestServer, token: Token, body: &str) -> Request {
    let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(token));
    request.header("x-access-reason", "a stolen laptop").body("application/json", body)
}

#[track_caller]
pub(crate) fn revoke(server: &TestServer, what: &Value) {
    let answer = request(server, operator(), &what.to_string()).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// A token that may do everything that a service may.
fn victim() -> Token {
    Token::new("service", "svc:victim", "profile:read live:many events:read feed:metadata").with("jti", "the-victim")
}

/// Opens a stream and returns its body.
fn open(server: &TestServer, request: &Request) -> BufReader<BodyReader<BufReader<TcpStream>>> {
    let mut stream = connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream);
    assert_eq!(head.status, 200, "{head:?}");
    BufReader::new(BodyReader::chunked(stream))
}

fn get(server: &TestServer, path: &str, token: &Token) -> Response {
    server.get(path, token.clone())
}

#[tokio::test]
async fn a_revocation_ends_requests_sockets_and_streams() {
    for what in [json!({"jti": "the-victim"}), json!({"sub": "svc:victim"})] {
        let server = start_server();
        server.post_example();
        let token = victim();
        let bearer = server.sign(token.clone());
        let with = |method, path: String| Request::new(method, path).bearer(&bearer);
        let mut socket = LiveClient::open(&server, token.clone()).await;
        socket.subscribe(&[USER], None).await;
        assert_eq!(socket.next().await["type"], "profile");
        let sse = with("GET", format!("{}/events", profile_path(USER)));
        let mut streams = [open(&server, &sse), open(&server, &with("GET", "/api/v2/events?cursor=oldest".to_owned()))];
        let mut line = String::new();
        for stream in &mut streams {
            stream.read_line(&mut line).unwrap();
        }
        let feed = with("POST", feed_path("metadata")).header("content-type", "application/x-ndjson");
        let mut feed = open(&server, &feed.header("transfer-encoding", "chunked"));
        let ticket = server.send(with("POST", "/api/v2/live/ticket".to_owned())).json()["ticket"].clone();

        revoke(&server, &what);
        let answer = get(&server, &profile_path(USER), &token);
        assert_eq!((answer.status, answer.problem().as_str()), (401, "invalid-token"), "{what}");
        assert!(answer.text().contains("revoked"), "{answer:?}");
        while let Ok(frame) = socket.receive().await {
            assert_ne!(frame["type"], "profile");
        }
        assert!(LiveClient::try_open(&server, token.clone(), None).await.is_err(), "{what}");
        let [mut sse, mut events] = streams;
        let (mut told, mut rest) = (String::new(), String::new());
        sse.read_to_string(&mut told).unwrap();
        assert!(told.contains("event: error") && told.contains("the token was revoked"), "{told}");
        events.read_to_string(&mut rest).unwrap();
        let mut results = String::new();
        feed.read_to_string(&mut results).unwrap();
        let total: Value = serde_json::from_str(results.trim().lines().last().unwrap()).unwrap();
        assert_eq!((&total["problem"]["status"], &total["applied"]), (&json!(401), &json!(0)), "{total}");
        let ticket = format!("/api/v2/live?ticket={}", ticket.as_str().unwrap());
        assert_eq!(server.send(Request::new("GET", ticket)).problem(), "invalid-ticket");
        // Other callers are not touched.
        assert_eq!(get(&server, &profile_path(USER), &Token::service("profile:read")).status, 200);
        assert_eq!(get(&server, &profile_path(USER), &Token::citizen(USER)).status, 200);
    }
}

#[tokio::test]
async fn a_revoked_socket_is_closed_with_its_code() {
    let server = start_server();
    server.post_example();
    let mut socket = LiveClient::open(&server, Token::citizen(USER).with("jti", "mine")).await;
    revoke(&server, &json!({"jti": "mine"}));
    assert_eq!(socket.receive().await, Err(4401));
}

#[test]
fn revocations_hold_after_a_restart() {
    let server = start_server();
    server.post_example();
    let by_token = Token::citizen(USER).with("jti", "one");
    let by_subject = Token::service("profile:read").with("jti", "two");
    revoke(&server, &json!({"jti": "one"}));
    revoke(&server, &json!({"sub": "svc:test"}));
    let server = start_on(server.kill());
    for token in [&by_token, &by_subject] {
        assert_eq!(get(&server, &profile_path(USER), token).problem(), "invalid-token");
    }
    assert_eq!(get(&server, &profile_path(USER), &Token::citizen(USER).with("jti", "three")).status, 200);
    // The clock of the issuer may be ahead by the leeway, a minute.
    let ahead = Token::service("profile:read").with("iat", now() + 5);
    assert_eq!(get(&server, &profile_path(USER), &ahead).problem(), "invalid-token", "it can have been made before");
}

#[test]
fn tokens_of_a_subject_are_accepted_that_were_made_after_its_revocation() {
    let server = start_server();
    server.post_example();
    let two_minutes_ago = jiff::Timestamp::from_second(now().cast_signed() - 120).unwrap();
    revoke(&server, &json!({"sub": "svc:test", "issued_until": two_minutes_ago.to_string()}));
    let issued = |ago: u64| Token::service("profile:read").with("iat", now() - ago).with("jti", ago.to_string());
    assert_eq!(get(&server, &profile_path(USER), &issued(90)).problem(), "invalid-token");
    assert_eq!(get(&server, &profile_path(USER), &issued(0)).status, 200);
}

#[test]
fn a_revocation_needs_an_operator_with_a_fresh_second_factor_and_a_reason() {
    let server = start_server();
    let body = r#"{"jti": "some-token"}"#;
    let plain = Token::new("admin", "adm:root", "operate");
    for (token, status, problem) in [
        (Token::citizen(USER), 403, "forbidden"),
        (Token::service("operate"), 403, "forbidden"),
        (Token::new("auditor", "aud:a", "operate"), 403, "forbidden"),
        (Token::new("admin", "adm:root", "profile:read"), 403, "missing-scope"),
        (plain.clone(), 401, "second-factor-needed"),
        (plain.clone().with("amr", json!(["mfa"])), 401, "second-factor-needed"),
        (plain.clone().with("amr", json!(["pwd"])).with("auth_time", now()), 401, "second-factor-needed"),
        (plain.with("amr", json!(["mfa"])).with("auth_time", now() - 301), 401, "second-factor-needed"),
    ] {
        let answer = request(&server, token.clone(), body).send(server.admin_listen);
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{:?}", token.claims);
    }
    let without_reason = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator()));
    let answer = without_reason.body("application/json", body).send(server.admin_listen);
    assert_eq!((answer.status, answer.problem().as_str()), (400, "access-reason-missing"));
    for wrong in [
        "",
        "{}",
        "[]",
        r#"["a"]"#,
        r#"{"jti": "a", "kid": "b"}"#,
        r#"{"jti": 7}"#,
        r#"{"jti": "a", "x": 1}"#,
        r#"{"kid": "a", "issued_until": "2026-01-01T00:00:00Z"}"#,
        r#"{"sub": "a", "issued_until": "now"}"#,
        r#"{"sub": "a", "issued_until": "2999-01-01T00:00:00Z"}"#,
        r#"{"jti": "a", "jti": "b"}"#,
    ] {
        let answer = request(&server, operator(), wrong).send(server.admin_listen);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-body"), "{wrong}");
    }
    assert_eq!(request(&server, operator(), body).send(server.listen).status, 404, "not on the public listener");
    assert_eq!(request(&server, operator(), body).send(server.admin_listen).status, 201);
}

/// Returns the entries of an action in the audit log.
fn entries(server: &TestServer, action: &str) -> Vec<Value> {
    let files = fs::read_dir(server.data_dir.path().join("audit")).unwrap().map(|file| file.unwrap());
    let is_segment = |name: String| name.starts_with("compliance-") && name.ends_with(".log");
    let segments = files.filter(|file| is_segment(file.file_name().into_string().unwrap()));
    let text: String = segments.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter(|entry| entry["action"] == action).collect()
}

#[test]
fn the_audit_log_says_what_was_revoked() {
    let server = start_server();
    revoke(&server, &json!({"jti": "a-token"}));
    revoke(&server, &json!({"kid": "a-key"}));
    revoke(&server, &json!({"sub": "svc:a", "issued_until": "2026-01-01T00:00:00Z"}));
    revoke(&server, &json!({"sub": USER}));
    let [token, key, caller, citizen] = entries(&server, "credential.revoke").try_into().unwrap();
    assert_eq!(token["token"], "a-token");
    assert_eq!(key["key"], "a-key");
    assert_eq!((&caller["caller"], &caller["issued_until"]), (&json!("svc:a"), &json!(1_767_225_600_000_000_i64)));
    assert!(citizen["subject"].is_string() && citizen["issued_until"].is_i64(), "{citizen}");
    assert!(!citizen.to_string().contains(USER), "a citizen is not recorded by name: {citizen}");
}
