//! No value of a sensitive field, and no personal number that a caller writes somewhere, is in the audit log, in the log
//! of the server or in its metrics.

use std::collections::BTreeSet;
use std::fs;

use domain::table::{Class, FIELDS};
use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, USER, example, feed_path, profile_path, start_server_with};
use crate::token::{Token, now};

/// Personal numbers, as callers could write them, and what remains of each without separators.
const PLANTED: [(&str, &str); 5] = [
    ("2341 2341 2346", "234123412346"),
    ("2341.2341.2346", "234123412346"),
    ("+91 98765 43210", "9876543210"),
    ("ABCPE1234F", "ABCPE1234F"),
    ("rajesh.kumar@example.org", "rajesh.kumar@example.org"),
];

/// Values of sensitive fields that are also labels of metrics: kinds of documents, which the redaction counts, and what became
/// of an event.
const WORDS: [&str; 3] = ["aadhaar", "applied", "pan"];

/// Collects the texts of a value, and its numbers of at least four digits.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.chars().count() > 2 && !WORDS.contains(&text.as_str()) => {
            into.insert(text.clone());
        }
        Value::Number(number) if number.as_u64().is_some_and(|number| number >= 1_000) => {
            into.insert(number.to_string());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => members.values().for_each(|member| texts(member, into)),
        _ => {}
    }
}

/// Returns the values of all sensitive fields of a profile.
fn sensitive_values(profile: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let sensitive = FIELDS.iter().filter(|field| field.class == Class::Sensitive);
    for field in sensitive {
        let value = field.path.split('.').fold(profile, |value, name| &value[name]);
        assert!(!value.is_null(), "`{}` has a value", field.path);
        texts(value, &mut found);
    }
    found
}

/// Everything that the server has written about calls: the files of the audit log, its own log, and its metrics.
fn written(server: &TestServer) -> Vec<(String, String)> {
    let audit = fs::read_dir(server.data_dir.path().join("audit")).unwrap();
    let files = audit.map(|file| file.unwrap().path()).chain([server.data_dir.path().join("audit-anchors.log")]);
    let read = |path: std::path::PathBuf| {
        let bytes = fs::read(&path).unwrap_or_default();
        (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut written: Vec<_> = files.map(read).collect();
    written.push(("the log".to_owned(), server.log()));
    let metrics = Request::new("GET", "/metrics").send(server.admin_listen);
    written.push(("the metrics".to_owned(), metrics.text().to_owned()));
    written
}

/// Returns whether a text holds a value that is not a part of a longer word or number.
fn holds(text: &str, value: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(value)
        .any(|(at, _)| !is_word(text[..at].chars().next_back()) && !is_word(text[at + value.len()..].chars().next()))
}

fn ask(server: &TestServer, request: Request, token: Token) -> Response {
    let request = request.bearer(&server.sign(token));
    if request.head().contains(" /admin/") { request.send(server.admin_listen) } else { server.send(request) }
}

fn admin() -> Token {
    Token::new("admin", "adm:asha", "profile:read operate events:read")
        .with("amr", json!(["mfa"]))
        .with("auth_time", now())
}

fn readers() -> Vec<Token> {
    let agent = Token::new("agent", "agt:a", "section:identity section:economic section:family section:deadlines");
    vec![
        admin(),
        agent.with("act", json!({"sub": USER})),
        Token::service("profile:read ai_context"),
        Token::citizen(USER),
        Token::service("profile:read third_party"),
        Token::citizen("usr_SomebodyElse01"),
        Token::new("auditor", "aud:a", ""),
    ]
}

#[tokio::test]
async fn no_sensitive_value_of_a_profile_is_written_down() {
    let server = start_server_with("[log]\nlevel = \"debug\"");
    server.post_example();
    server
        .consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": false, "analytics_opt_in": true}));
    let profile = server.own_profile(USER).json();
    let values = sensitive_values(&profile);
    assert!(values.len() > 25, "{values:?}");
    for token in readers() {
        for tail in [
            "",
            "/completeness",
            "/access-log",
            "?fields=identity,economic",
            "?revision=3",
            "/history",
            "/delta?since=1",
        ] {
            let request = Request::new("GET", format!("{}{tail}", profile_path(USER)));
            ask(&server, request.header("x-access-reason", "a test"), token.clone());
        }
        let mut client = LiveClient::open(&server, token.clone()).await;
        client.subscribe(&[USER], None).await;
        client.next().await;
        // What somebody who knows a value could send.
        for value in &values {
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            ask(&server, Request::new("GET", format!("{}?fields={value}", profile_path(USER))), token.clone());
        }
    }
    for (source, mut event) in example() {
        event["data"]["unknown_member"] = json!(1);
        server.post(&source, event.to_string());
    }
    for (place, text) in written(&server) {
        for value in &values {
            assert!(!holds(&text, value), "{place} has `{value}`: {}", line_with(&text, value));
        }
    }
}

fn line_with(text: &str, value: &str) -> String {
    text.lines().find(|line| line.contains(value)).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn no_personal_number_that_a_caller_writes_is_written_down() {
    let server = start_server_with("[log]\nlevel = \"debug\"");
    server.post_example();
    for (text, _) in PLANTED {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let with_headers = |request: Request| {
            let request = request.header("x-access-reason", format!("asked by {text}")).header("x-purpose", text);
            let request = request.header("x-request-id", text.replace(' ', ".")).header("user-agent", text);
            request.header("origin", format!("http://{}", text.replace(' ', "."))).header("x-forwarded-for", text)
        };
        let named = Token::new("service", &format!("svc:{text}"), "profile:read").with("jti", text);
        for token in readers().into_iter().chain([named]) {
            for path in [
                profile_path(USER),
                format!("{}?fields={encoded}&as_of={encoded}", profile_path(USER)),
                profile_path(&encoded),
                format!("/api/v2/events?types={encoded}&cursor={encoded}"),
                format!("/api/v2/audit?action={encoded}&actor={encoded}&subject={encoded}&cursor={encoded}"),
                format!("/admin/allowlist?caller={encoded}"),
                format!("/nothing/{encoded}"),
            ] {
                ask(&server, with_headers(Request::new("GET", path)), token.clone());
            }
            let delete = Request::new("DELETE", format!("/api/v2/session?id={encoded}"));
            ask(&server, with_headers(delete), token.clone());
        }
        let entry = json!({"caller": format!("svc:{text}"), "reason": text, "expires_at": "2099-01-01T00:00:00Z"});
        for (path, body) in [
            ("/admin/allowlist", entry),
            ("/admin/revocations", json!({"jti": text})),
            ("/admin/revocations", json!({"sub": format!("svc:revoked {text}")})),
            ("/admin/limits/reset", json!({"caller": text})),
            ("/admin/passivate", json!({"user_id": text})),
        ] {
            let request = Request::new("POST", path).body("application/json", body.to_string());
            ask(&server, with_headers(request), admin());
        }
        let consent = Request::new("PUT", format!("{}/consent", profile_path(USER)));
        let body = json!({"data_sharing_level": text}).to_string();
        ask(&server, with_headers(consent.body("application/json", body)), Token::citizen(USER));
        let event =
            json!({"specversion": "1.0", "id": text, "source": text, "type": text, "subject": text, "data": text});
        let feed = Request::new("POST", feed_path("metadata")).body("application/cloudevents+json", event.to_string());
        ask(&server, with_headers(feed), Token::service("feed:metadata"));
        server.send(with_headers(Request::new("GET", profile_path(USER)).bearer(text)));
        let code = json!({"code": text}).to_string();
        server.send(with_headers(Request::new("POST", "/api/v2/session").body("application/json", code)));
        let mut client = LiveClient::open(&server, Token::service("profile:read")).await;
        for message in [
            json!({"type": "subscribe", "id": text, "users": [{"user_id": text, "cursor": text}], "fields": [text]}),
            json!({"type": "auth", "token": text}),
            json!({"type": text}),
        ] {
            client.send(&message).await;
            client.next().await;
        }
    }
    let written = written(&server);
    let entries: usize = written.iter().map(|(_, text)| text.matches("\"asked by [").count()).sum();
    assert!(entries > 5, "the reasons are recorded, without the numbers");
    for (place, text) in written {
        for line in text.lines() {
            let dense: String = line.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
            let without_dots = dense.replace('.', "");
            for (_, planted) in PLANTED {
                assert!(!dense.contains(planted) && !without_dots.contains(planted), "{place} has `{planted}`: {line}");
            }
        }
    }
}

#[test]
fn a_reason_is_bounded_and_may_not_break_the_lines_of_the_log() {
    let server = start_server_with("");
    server.post_example();
    for (reason, status) in [
        ("a".repeat(256), 200),
        ("a".repeat(257), 400),
        ("a".repeat(60_000), 431),
        ("a\u{2028}{\"action\":\"forged\"}".to_owned(), 400),
        ("tab\tor\u{7f}".to_owned(), 400),
        ("\",\"decision\":\"denied".to_owned(), 200),
    ] {
        let request = Request::new("GET", profile_path(USER)).header("x-access-reason", reason.as_str());
        let answer = ask(&server, request, admin());
        assert!(
            answer.status == status || (status == 431 && answer.status >= 400),
            "{} characters: {answer:?}",
            reason.len()
        );
        let request = Request::new("GET", profile_path(USER)).header("x-access-reason", "a test");
        let answer = ask(&server, request.header("x-purpose", reason.as_str()), admin());
        assert!(
            answer.status == status || (status == 431 && answer.status >= 400),
            "{} characters: {answer:?}",
            reason.len()
        );
    }
    let found = crate::route_table::entries(&server);
    let reads: Vec<_> = found.iter().filter(|entry| entry["action"] == "profile.read").collect();
    assert_eq!(reads.len(), 4, "{reads:?}");
    assert!(reads.iter().all(|entry| entry["decision"] == "allowed"));
}
