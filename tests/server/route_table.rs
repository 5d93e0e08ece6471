//! Walks the route table: every route answers every caller, by token and by session, as the contract says, and leaves the
//! entries in the audit log that its row owes.

mod callers;
mod ledger;
mod probes;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use profile_server::{ListedRoute, route_table};
use serde_json::json;
use tempfile::TempDir;

use crate::description::Description;
use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, TestServer, USER, start_on, start_server};
use crate::token::{Token, now};
pub(crate) use callers::{Caller, callers};
pub(crate) use ledger::entries;
use ledger::{Call, Ledger, Outcome};
pub(crate) use probes::{Probe, is_admitted, probe};
use probes::{Rule, refusal};

/// The rows of the route table, each method by itself.
fn rows() -> Vec<(&'static str, ListedRoute)> {
    let rows = route_table().into_iter();
    rows.flat_map(|row| row.methods.clone().into_iter().map(move |method| (method, row.clone()))).collect()
}

fn address(server: &TestServer, row: &ListedRoute) -> SocketAddr {
    if row.is_admin { server.admin_listen } else { server.listen }
}

/// Sends the request of a probe to a listener.
pub(crate) fn send(
    probe: &Probe,
    method: &'static str,
    address: SocketAddr,
    add: impl FnOnce(Request) -> Request,
) -> Response {
    let request = add(Request::new(method, &probe.path)).header("x-access-reason", "a test");
    match &probe.body {
        Some((kind, body)) => request.body(kind, body.as_bytes()),
        None => request,
    }
    .send(address)
}

#[track_caller]
fn check(probe: &Probe, answer: &Response, expected: Option<(u16, &str)>, case: &str) {
    let has_body = !case.starts_with("HEAD");
    match expected {
        Some((status, problem)) => {
            assert_eq!(answer.status, status, "{case}: {answer:?}");
            assert!(!has_body || answer.problem() == problem, "{case}: {answer:?}");
        }
        None if probe.admitted == 0 => assert!(matches!(answer.status, 200 | 404), "{case}: {answer:?}"),
        None => assert_eq!(answer.status, probe.admitted, "{case}: {answer:?}"),
    }
}

/// Returns what happened to a call that the contract does not refuse, or that it refuses with `expected`. Who may never see
/// the user is refused before the handler is called; whom consent hides the user from is refused by the handler.
fn outcome<'a>(probe: &Probe, caller: &Caller, expected: Option<(u16, &'a str)>, answer: &Response) -> Outcome<'a> {
    match (expected, refusal(probe.rule, caller, true)) {
        (Some((_, problem)), Some(_)) => Outcome::Refused(problem),
        _ if probe.fails_late => Outcome::FailedLate,
        // The user is there, and something of the user is not: nobody was refused.
        (None, _) if probe.admitted == 404 => Outcome::Answered(410),
        _ => Outcome::Answered(answer.status),
    }
}

#[test]
fn every_route_answers_every_caller_as_the_contract_says_and_records_it() {
    let (server, mut ledger) = (start_server(), Ledger::default());
    server.post_example();
    let (rows, description) = (rows(), Description::read(&server));
    assert!(rows.len() > 40, "{rows:?}");
    for shares in [false, true] {
        let level = if shares { "full" } else { "minimal" };
        server.consent(USER, &json!({"data_sharing_level": level, "third_party_sharing": shares}));
        for (method, row) in &rows {
            let probe = probe(method, row.path, row.parameter);
            for caller in callers() {
                let id = ledger.next_id();
                let add = |request: Request| match &caller.token {
                    Some(token) => request.bearer(&server.sign(token.clone())).header("x-request-id", id.clone()),
                    None => request.header("x-request-id", id.clone()),
                };
                let answer = send(&probe, method, address(&server, row), add);
                let case = format!("{method} {} by {}, sharing {shares}", row.path, caller.name);
                let expected = refusal(probe.rule, &caller, shares);
                check(&probe, &answer, expected, &case);
                description.check(row.is_admin, method, row.path, &answer);
                let outcome = outcome(&probe, &caller, expected, &answer);
                ledger.add(&Call { id, row, caller: &caller }, outcome);
            }
        }
    }
    ledger.check(server);
}

/// Begins a session with the claims of a token. Returns its cookie and its CSRF token.
fn session(server: &TestServer, token: &Token) -> (String, String) {
    let claim = |name: &str| token.claims[name].as_str().unwrap_or_default().to_owned();
    let mut command = Command::new(PROGRAM);
    command.arg("login-link").arg("--data-dir").arg(server.data_dir.path());
    command.args(["--sub", &claim("sub"), "--role", &claim("role"), "--scope", &claim("scope"), "--amr", "mfa"]);
    let link = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let code = link.trim().split_once("#login=").unwrap().1;
    let request = Request::new("POST", "/api/v2/session");
    let answer = server.send(request.body("application/json", json!({ "code": code }).to_string()));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    (cookie, answer.json()["csrf_token"].as_str().unwrap().to_owned())
}

#[test]
fn a_session_gets_what_a_token_with_its_claims_gets_and_leaves_the_same_entries() {
    let (server, mut ledger) = (start_server(), Ledger::default());
    server.post_example();
    let (rows, description) = (rows(), Description::read(&server));
    let people = callers().into_iter().filter(|caller| matches!(caller.claim("role"), "self" | "admin" | "auditor"));
    let people: Vec<Caller> = people.collect();
    let sessions: Vec<_> = people.iter().map(|caller| session(&server, caller.token.as_ref().unwrap())).collect();
    for shares in [false, true] {
        let level = if shares { "full" } else { "minimal" };
        server.consent(USER, &json!({"data_sharing_level": level, "third_party_sharing": shares}));
        for (caller, (cookie, csrf)) in people.iter().zip(&sessions) {
            for (method, row) in &rows {
                let probe = probe(method, row.path, row.parameter);
                let with_cookie =
                    |request: Request, id: &str| request.header("cookie", cookie.clone()).header("x-request-id", id);
                let id = ledger.next_id();
                let answer = send(&probe, method, address(&server, row), |request| {
                    with_cookie(request, &id).header("x-csrf-token", csrf.clone())
                });
                let case = format!("{method} {} by the session of {}, sharing {shares}", row.path, caller.name);
                let expected = refusal(probe.rule, caller, shares);
                check(&probe, &answer, expected, &case);
                description.check(row.is_admin, method, row.path, &answer);
                ledger.add(&Call { id, row, caller }, outcome(&probe, caller, expected, &answer));
                // Without the CSRF token nothing changes, whoever asks.
                if !matches!(*method, "GET" | "HEAD") && !matches!(probe.rule, Rule::All) {
                    let id = ledger.next_id();
                    let answer = send(&probe, method, address(&server, row), |request| with_cookie(request, &id));
                    assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{case}");
                    description.check(row.is_admin, method, row.path, &answer);
                    ledger.add(&Call { id, row, caller }, Outcome::Refused("forbidden"));
                }
            }
        }
    }
    let begun = entries(&server).into_iter().filter(|entry| entry["action"] == "session.begin");
    let categories: Vec<_> = begun.map(|entry| entry["category"].clone()).collect();
    assert_eq!(categories, vec!["compliance"; people.len()], "each session is recorded before it can be used");
    ledger.check(server);
}

/// An administrator with all scopes.
fn administrator(name: &'static str) -> Token {
    let scopes = "profile:read live:many events:read operate export";
    Token::new("admin", name, scopes).with("amr", json!(["mfa"])).with("auth_time", now())
}

/// Sends the requests that `token` gives for the rows, each of which must be refused with this problem, and compares the
/// entries.
fn refuse_all(rows: &[(&'static str, ListedRoute)], token: &Token, reason: Option<&str>, problem: (u16, &str)) {
    let (server, mut ledger) = (start_server(), Ledger::default());
    server.post_example();
    let description = Description::read(&server);
    let caller = Caller { name: "an administrator", token: Some(token.clone()) };
    for (method, row) in rows {
        let (probe, id) = (probe(method, row.path, row.parameter), ledger.next_id());
        let request =
            Request::new(method, &probe.path).bearer(&server.sign(token.clone())).header("x-request-id", id.clone());
        let request = reason.iter().fold(request, |request, reason| request.header("x-access-reason", *reason));
        let answer = request.send(address(&server, row));
        assert_eq!(answer.status, problem.0, "{method} {}: {answer:?}", row.path);
        description.check(row.is_admin, method, row.path, &answer);
        ledger.add(&Call { id, row, caller: &caller }, Outcome::Refused(problem.1));
    }
    ledger.check(server);
}

#[test]
fn an_administrator_without_a_reason_is_refused_and_recorded_at_every_route_that_needs_one() {
    let rows: Vec<_> =
        rows().into_iter().filter(|(_, row)| row.requirements.as_ref().is_some_and(|row| row.needs_reason)).collect();
    assert!(rows.len() > 10);
    refuse_all(&rows, &administrator("adm:hasty"), None, (400, "access-reason-missing"));
}

#[test]
fn an_old_second_factor_is_refused_and_recorded_at_every_route_that_needs_a_fresh_one() {
    let rows: Vec<_> = rows()
        .into_iter()
        .filter(|(_, row)| row.requirements.as_ref().is_some_and(|row| row.needs_second_factor))
        .collect();
    assert!(!rows.is_empty());
    let stale = administrator("adm:late").with("auth_time", now() - 400);
    refuse_all(&rows, &stale, Some("a test"), (401, "second-factor-needed"));
}

#[test]
fn a_limit_that_is_reached_is_recorded_at_every_route() {
    let data_dir = TempDir::new().unwrap();
    let one = |line: &str| match line.split_once(" = ") {
        Some((name @ ("limit" | "service_limit" | "burst"), _)) => format!("{name} = 1\n"),
        _ => format!("{line}\n"),
    };
    fs::write(data_dir.path().join("limits.toml"), config::LIMITS_TOML.lines().map(one).collect::<String>()).unwrap();
    let server = start_on(data_dir);
    let (mut owed, description) = (Vec::new(), Description::read(&server));
    for (number, (method, row)) in rows().into_iter().enumerate() {
        let limit = row.requirements.as_ref().and_then(|requirements| requirements.limit);
        // Feeds are limited by back-pressure.
        let Some(limit) = limit.filter(|limit| *limit != "feed") else { continue };
        let (probe, subject) = (probe(method, row.path, row.parameter), format!("svc:limited-{number}"));
        let token = server.sign(Token::new("service", &subject, "profile:read events:read"));
        let answers = [(); 2].map(|()| send(&probe, method, address(&server, &row), |request| request.bearer(&token)));
        assert_ne!(answers[0].status, 429, "{method} {}", row.path);
        assert_eq!(answers[1].status, 429, "{method} {}", row.path);
        description.check(row.is_admin, method, row.path, &answers[1]);
        owed.push((subject, limit.to_owned()));
    }
    assert!(owed.len() > 30);
    // The auditor, too, has one call.
    let (_, data_dir) = server.terminate();
    fs::remove_file(data_dir.path().join("limits.toml")).unwrap();
    let server = start_on(data_dir);
    let reached = entries(&server).into_iter().filter(|entry| entry["action"] == "limit.reached").map(|entry| {
        assert_eq!((&entry["category"], &entry["decision"]), (&json!("security"), &json!("denied")), "{entry}");
        (entry["actor"].as_str().unwrap().to_owned(), entry["limit"].as_str().unwrap().to_owned())
    });
    let mut reached: Vec<_> = reached.collect();
    reached.reverse();
    assert_eq!(reached, owed);
}
