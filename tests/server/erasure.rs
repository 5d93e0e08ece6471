//! Erasure of a citizen: who may ask, the receipt, days to undo it, and kills.

use std::fs;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response, try_connect};
use crate::live_client::LiveClient;
use crate::test_server::{PROGRAM, TestServer, USER, eventually, profile_path, residency, start_on, start_server};
use crate::token::{Token, now};

/// Returns a token whose caller has just used a second factor.
pub(crate) fn fresh(token: Token) -> Token {
    token.with("amr", json!(["mfa"])).with("auth_time", now())
}

fn citizen() -> Token {
    fresh(Token::citizen(USER))
}

pub(crate) fn delete(server: &TestServer, path: &str, token: Token) -> Response {
    let request = Request::new("DELETE", path).bearer(&server.sign(token));
    server.send(request.header("x-access-reason", "asked by letter"))
}

fn erase(server: &TestServer, token: Token) -> Response {
    delete(server, &profile_path(USER), token)
}

#[track_caller]
fn receipt(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
    answer.json()
}

fn entries(server: &TestServer, action: &str) -> Vec<Value> {
    let token = Token::new("auditor", "aud:a", "");
    let page = server.get(&format!("/api/v2/audit?action={action}&limit=200"), token).json();
    page["entries"].as_array().unwrap().iter().map(|entry| entry["entry"].clone()).collect()
}

fn public_key(server: &TestServer) -> String {
    let head = server.get("/api/v2/audit/tree-head", Token::new("auditor", "aud:a", "")).json();
    head["public_key"].as_str().unwrap().to_owned()
}

/// Runs `verify-receipt` on a file with this text.
fn verify(text: &str, arguments: &[&str]) -> Output {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("receipt.json");
    fs::write(&file, text).unwrap();
    Command::new(PROGRAM).arg("verify-receipt").arg(&file).args(arguments).output().unwrap()
}

#[test]
fn a_citizen_is_erased_and_gets_a_receipt_that_is_checked_offline() {
    let server = start_server();
    server.post_example();
    let key = public_key(&server);
    let answer = erase(&server, citizen());
    let erased = receipt(&answer);
    let gone = server.get(&profile_path(USER), Token::citizen(USER));
    assert_eq!(gone.status, 410, "{gone:?}");
    let again = erase(&server, citizen());
    assert_eq!(again.body, answer.body, "the same receipt, byte for byte");
    // Over a kill, too, and for an administrator.
    let server = start_on(server.kill());
    assert_eq!(erase(&server, fresh(Token::new("admin", "adm:a", "profile:read"))).body, answer.body);
    let text = answer.text().to_owned();
    let output = verify(&text, &["--key", &key, "--user", USER]);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["generation"], &said["user_checked"]), (&json!(1), &json!(true)));
    assert_eq!(said["signer_checked"], true);
    for (text, arguments, fault) in [
        (text.clone(), vec!["--user", "usr_SomebodyElse01"], "`commitment` is not that of the given user"),
        (text.replacen("\"slot\":", "\"slot\":1", 1), vec![], "the member `slot`"),
        (text.replacen("Z\",\"format\":1", "Z\",\"format\":9", 1), vec![], "format 1"),
        ("{}".to_owned(), vec![], "format 1"),
    ] {
        let output = verify(&text, &arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(fault), "{stderr}");
    }
    assert_eq!(verify(&text, &["--user", "nobody"]).status.code(), Some(2));
    let entries = entries(&server, "profile.erase");
    let own = entries.iter().filter(|entry| !entry["commitment"].is_null()).collect::<Vec<_>>();
    assert_eq!(own.len(), 1, "{entries:?}");
    assert_eq!((&own[0]["slot"], &own[0]["generation"]), (&erased["slot"], &json!(1)));
    assert_eq!(own[0], &erased["audit_entry"]);
    assert!(!text.contains(USER), "a receipt names nobody");
    let repeated = entries.iter().filter(|entry| entry["repeated"] == true).count();
    assert_eq!(repeated, 2, "{entries:?}");
}

#[test]
fn only_the_citizen_and_administrators_erase_with_a_fresh_second_factor() {
    let server = start_server();
    server.post_example();
    let agent = Token::new("agent", "agt:a", "section:family").with("act", json!({"sub": USER}));
    for (token, status, problem) in [
        (Token::citizen(USER), 401, "second-factor-needed"),
        (citizen().with("auth_time", now() - 400), 401, "second-factor-needed"),
        (Token::citizen(USER).with("amr", json!(["pwd"])).with("auth_time", now()), 401, "second-factor-needed"),
        (fresh(Token::citizen("usr_SomebodyElse01")), 404, "unknown-user"),
        (fresh(agent), 403, "forbidden"),
        (fresh(Token::service("profile:read")), 403, "forbidden"),
        (fresh(Token::new("auditor", "aud:a", "")), 403, "forbidden"),
        (fresh(Token::new("admin", "adm:a", "operate")), 404, "unknown-user"),
        (Token::new("admin", "adm:a", "profile:read"), 401, "second-factor-needed"),
    ] {
        for path in [profile_path(USER), format!("{}?retain_days=3", profile_path(USER))] {
            let answer = delete(&server, &path, token.clone());
            assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{answer:?}");
        }
    }
    let admin = server.sign(fresh(Token::new("admin", "adm:a", "profile:read")));
    let hasty = server.send(Request::new("DELETE", profile_path(USER)).bearer(&admin));
    assert_eq!((hasty.status, hasty.problem().as_str()), (400, "access-reason-missing"));
    assert_eq!(server.own_profile(USER).status, 200);
    assert!(entries(&server, "profile.erase").iter().all(|entry| entry["decision"] == "denied"));
    let erased = receipt(&erase(&server, fresh(Token::new("admin", "adm:a", "profile:read"))));
    assert_eq!(erased["audit_entry"]["actor"], "adm:a");
    assert_eq!(erased["audit_entry"]["reason"], "asked by letter");
}

#[test]
fn who_does_not_exist_is_unknown_and_leaves_no_trace_of_an_erasure() {
    let server = start_server();
    for query in ["", "?retain_days=5"] {
        let answer = delete(&server, &format!("{}{query}", profile_path(USER)), citizen());
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"));
    }
    let answer = delete(&server, &format!("{}/erasure", profile_path(USER)), citizen());
    assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"));
    assert!(entries(&server, "profile.erase").iter().all(|entry| entry["decision"] == "denied"));
}

#[test]
fn days_out_of_range_are_refused_and_change_nothing() {
    let server = start_server();
    server.post_example();
    for days in ["31", "-1", "x", "", "1.0", "1&retain_days=2"] {
        let answer = delete(&server, &format!("{}?retain_days={days}", profile_path(USER)), citizen());
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-parameter"), "{days}");
    }
    assert_eq!(server.own_profile(USER).status, 200);
}

#[test]
fn a_scheduled_erasure_hides_the_profile_everywhere_until_it_is_undone() {
    let server = start_server();
    server.post_example();
    let full = json!({"data_sharing_level": "full", "third_party_sharing": true});
    server.consent(USER, &full);
    let before = server.own_profile(USER).json();
    let answer = delete(&server, &format!("{}?retain_days=30", profile_path(USER)), citizen());
    assert_eq!(answer.status, 202, "{answer:?}");
    let undo = answer.json()["undo"]["href"].as_str().unwrap().to_owned();
    let path = |rest: &str| format!("{}{rest}", profile_path(USER));
    let check = |server: &TestServer| {
        for rest in ["", "/completeness", "/history", "/snapshots", "/summary", "/access", "?revision=1"] {
            for (token, status) in [
                (Token::citizen(USER), 410),
                (Token::service("profile:read"), 410),
                (Token::service("profile:read third_party"), 404),
            ] {
                let answer = server.get(&path(rest), token);
                assert_eq!(answer.status, status, "{rest}: {answer:?}");
            }
        }
        let consent = Request::new("PUT", path("/consent")).bearer(&server.sign(Token::citizen(USER)));
        let consent = server.send(consent.body("application/json", "{\"analytics_opt_in\":true}"));
        assert_eq!((consent.status, consent.problem().as_str()), (410, "erasure-pending"));
        let batch = Request::new("POST", "/api/v2/profiles/batch-get").bearer(&server.sign(Token::citizen(USER)));
        let batch = server.send(batch.body("application/json", json!({"user_ids": [USER]}).to_string()));
        assert!(batch.text().contains("\"status\":404"), "{batch:?}");
        assert_eq!(server.get(&path("/access-log"), Token::citizen(USER)).status, 200, "no profile is in it");
    };
    check(&server);
    let server = start_on(server.kill());
    check(&server);
    // Feeds go on, so that the profile is current after an undo.
    server.apply("metadata", &residency(USER, "while-hidden", "2026-01-21T11:00:00Z", 9));
    let sooner = delete(&server, &path("?retain_days=2"), citizen()).json();
    let later = delete(&server, &path("?retain_days=9"), citizen()).json();
    assert_eq!(sooner["erased_at"], later["erased_at"], "never put off");
    let stale = delete(&server, &undo, Token::citizen(USER));
    assert_eq!((stale.status, stale.problem().as_str()), (401, "second-factor-needed"));
    assert_eq!(delete(&server, &undo, citizen()).status, 204);
    let after = server.own_profile(USER).json();
    assert_eq!(after["demographics"]["residency_years"], 9);
    assert_eq!(after["identity"], before["identity"]);
    let twice = delete(&server, &undo, citizen());
    assert_eq!((twice.status, twice.problem().as_str()), (404, "unknown-resource"));
    assert_eq!(entries(&server, "profile.erase.schedule").len(), 3);
    assert_eq!(entries(&server, "profile.erase.undo").iter().filter(|entry| entry["decision"] == "allowed").count(), 1);
    assert_eq!(start_on(server.kill()).own_profile(USER).status, 200);
}

#[tokio::test]
async fn live_clients_see_a_hidden_profile_go_and_come_back() {
    let server = start_server();
    server.post_example();
    let mut own = LiveClient::open(&server, Token::citizen(USER)).await;
    let mut service = LiveClient::open(&server, Token::service("profile:read")).await;
    for client in [&mut own, &mut service] {
        client.subscribe(&[USER], None).await;
        while client.next().await["type"] != "profile" {}
    }
    assert_eq!(delete(&server, &format!("{}?retain_days=1", profile_path(USER)), citizen()).status, 202);
    for client in [&mut own, &mut service] {
        while client.next().await["type"] != "gone" {}
        assert!(client.held.is_empty());
    }
    server.apply("metadata", &residency(USER, "while-hidden", "2026-01-21T11:00:00Z", 9));
    own.expect_silence().await;
    assert_eq!(delete(&server, &format!("{}/erasure", profile_path(USER)), citizen()).status, 204);
    for client in [&mut own, &mut service] {
        while client.next().await["type"] != "profile" {}
    }
    assert_eq!(own.held[USER], server.own_profile(USER).json());
}

#[test]
fn a_scheduled_erasure_can_be_done_at_once() {
    let server = start_server();
    server.post_example();
    assert_eq!(delete(&server, &format!("{}?retain_days=30", profile_path(USER)), citizen()).status, 202);
    receipt(&delete(&server, &format!("{}?retain_days=0", profile_path(USER)), citizen()));
    let undo = delete(&server, &format!("{}/erasure", profile_path(USER)), citizen());
    assert_eq!((undo.status, undo.problem().as_str()), (404, "unknown-resource"));
}

#[test]
fn the_sessions_of_an_erased_citizen_end() {
    let server = start_server();
    server.post_example();
    let mut command = Command::new(PROGRAM);
    command.arg("login-link").arg("--data-dir").arg(server.data_dir.path());
    command.args(["--sub", USER, "--role", "self", "--amr", "mfa"]);
    let link = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let code = link.trim().split_once("#login=").unwrap().1.to_owned();
    let request = Request::new("POST", "/api/v2/session");
    let begun = server.send(request.body("application/json", json!({ "code": code }).to_string()));
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let csrf = begun.json()["csrf_token"].as_str().unwrap().to_owned();
    let request = Request::new("DELETE", profile_path(USER)).header("cookie", cookie.clone());
    receipt(&server.send(request.header("x-csrf-token", csrf)));
    let with_cookie = || Request::new("GET", profile_path(USER)).header("cookie", cookie.clone());
    assert_eq!(server.send(with_cookie()).status, 401);
    assert_eq!(start_on(server.kill()).send(with_cookie()).status, 401);
}

/// Sends a request to erase the citizen to a server that may end meanwhile, and returns the status of its answer.
fn try_delete(address: SocketAddr, token: &str) -> Option<u16> {
    let mut stream = BufReader::new(try_connect(address).ok()?);
    let request = Request::new("DELETE", profile_path(USER)).bearer(token);
    stream.get_mut().write_all(request.head().as_bytes()).ok()?;
    Response::read(&mut stream, true).ok().map(|answer| answer.status)
}

#[test]
fn an_erasure_that_is_killed_at_some_moment_is_finished_at_the_next_start() {
    for pause in [0, 1, 2, 4, 8, 16, 32, 64] {
        let server = start_server();
        server.post_example();
        let (listen, token) = (server.listen, server.sign(citizen()));
        let sent = std::thread::spawn(move || try_delete(listen, &token));
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let data_dir = server.kill();
        let answered = sent.join().unwrap();
        let server = start_on(data_dir);
        let read = server.get(&profile_path(USER), Token::citizen(USER));
        // It had not begun, or it is finished before anybody is served.
        let waiting = server.metric("profile_erasures_waiting{state=\"unfinished\"}");
        assert_eq!(waiting, 0.0, "after {pause} ms");
        assert!(matches!(read.status, 200 | 410), "{read:?}");
        if answered == Some(200) {
            assert_eq!(read.status, 410, "what was acknowledged holds");
        }
        let erased = erase(&server, citizen());
        receipt(&erased);
        let output = verify(erased.text(), &["--key", &public_key(&server), "--user", USER]);
        assert!(output.status.success(), "{output:?}");
        let own = entries(&server, "profile.erase");
        assert_eq!(own.iter().filter(|entry| !entry["commitment"].is_null()).count(), 1, "after {pause} ms");
        eventually("nothing waits", || server.metric("profile_erasures_waiting{state=\"unfinished\"}") == 0.0);
    }
}
