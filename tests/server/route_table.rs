//! Walks the route table: every route answers every caller, by token and by session, as the contract says.

use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, TestServer, USER, start_server};
use crate::token::{Token, now};

const OTHER: &str = "usr_SomebodyElse01";

/// A caller, and what the contract says about it.
struct Caller {
    name: &'static str,
    token: Option<Token>,
}

impl Caller {
    fn claim(&self, name: &str) -> &str {
        self.token.as_ref().and_then(|token| token.claims[name].as_str()).unwrap_or_default()
    }

    fn has(&self, scope: &str) -> bool {
        self.claim("scope").split(' ').any(|held| held == scope)
    }

    /// Whether the caller sees something of [`USER`], who has or has not consented to third parties.
    fn sees(&self, shares: bool) -> bool {
        match self.claim("role") {
            "self" => self.claim("sub") == USER,
            "agent" => self.token.as_ref().is_some_and(|token| token.claims["act"]["sub"] == USER),
            "service" => self.has("profile:read") && (shares || !self.has("third_party")),
            "admin" => self.has("profile:read"),
            _ => false,
        }
    }
}

fn callers() -> Vec<Caller> {
    let caller = |name, role: &str, subject: &str, scope: &str| Caller {
        name,
        token: Some(Token::new(role, subject, scope).with("amr", json!(["mfa"])).with("auth_time", now())),
    };
    let agent = |name, citizen: &str| {
        let token = Token::new("agent", "agt:a", "section:family operate feed:identity events:read profile:read");
        Caller { name, token: Some(token.with("act", json!({ "sub": citizen }))) }
    };
    let all = "profile:read live:many events:read feed:identity operate simulate export ai_context";
    vec![
        Caller { name: "nobody", token: None },
        caller("the citizen", "self", USER, ""),
        caller("the citizen with scopes", "self", USER, all),
        caller("another citizen", "self", OTHER, all),
        caller("a service", "service", "svc:a", ""),
        caller("a reading service", "service", "svc:a", "profile:read"),
        caller("a third party", "service", "svc:a", "profile:read third_party"),
        caller("a feed", "service", "svc:a", "feed:identity"),
        caller("another feed", "service", "svc:a", "feed:metadata"),
        caller("a service with all scopes", "service", "svc:a", all),
        caller("an admin", "admin", "adm:a", ""),
        caller("a reading admin", "admin", "adm:a", "profile:read"),
        caller("an operator", "admin", "adm:a", "operate"),
        caller("an admin with all scopes", "admin", "adm:a", all),
        caller("an auditor", "auditor", "aud:a", ""),
        caller("an auditor with scopes", "auditor", "aud:a", all),
        agent("the citizen's agent", USER),
        agent("another's agent", OTHER),
    ]
}

/// A request for a route, and what the answer is for those who are admitted.
struct Probe {
    rule: Rule,
    path: String,
    body: Option<(&'static str, String)>,
    admitted: u16,
}

/// Who is admitted.
#[derive(Clone, Copy)]
enum Rule {
    /// Everyone.
    All,
    /// Every caller with a token or session.
    Authenticated,
    /// Callers who see the user; for others there is no such user.
    Viewers,
    /// Callers who see the user under some consent; for others there is no such user.
    PossibleViewers,
    /// The citizen; for others there is no such user.
    Citizen,
    /// Services with the scope of the feed.
    Feed,
    /// Services and administrators with `events:read`.
    Followers,
    /// Administrators with `operate`.
    Operators,
    /// Auditors, and citizens for what is about themselves.
    Auditing,
}

/// Returns the probe of a route. A route that is not here fails the test: add what the contract says about it.
fn probe(method: &str, path: &str) -> Probe {
    let get = |rule, path: &str, admitted| Probe { rule, path: path.to_owned(), body: None, admitted };
    let json = |rule, path: &str, body: Value, admitted| Probe {
        rule,
        path: path.to_owned(),
        body: Some(("application/json", body.to_string())),
        admitted,
    };
    let profile = format!("/api/v2/profile/{USER}");
    match (method, path) {
        ("GET" | "HEAD", "/api/v2/profile/{user_id}") => get(Rule::Viewers, &profile, 200),
        // Fewer callers see the completeness; `tests/server/access.rs` says who.
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/completeness") => {
            get(Rule::Viewers, &format!("{profile}/completeness"), 0)
        }
        ("PUT", "/api/v2/profile/{user_id}/consent") => {
            json(Rule::Citizen, &format!("{profile}/consent"), json!({"analytics_opt_in": true}), 200)
        }
        // A request that is admitted fails for another reason, so that no stream begins. That comes before the user is
        // looked up.
        ("GET", "/api/v2/profile/{user_id}/events") => {
            get(Rule::PossibleViewers, &format!("{profile}/events?schema_version=9"), 406)
        }
        ("GET", "/api/v2/events") => get(Rule::Followers, "/api/v2/events?types=nonsense", 400),
        ("GET", "/api/v2/live") => get(Rule::Authenticated, "/api/v2/live", 426),
        ("POST", "/api/v2/feeds/{source}") => json(Rule::Feed, "/api/v2/feeds/identity", json!({}), 415),
        ("POST", "/api/v2/live/ticket") => get(Rule::Authenticated, "/api/v2/live/ticket", 201),
        ("POST", "/api/v2/session") => json(Rule::All, "/api/v2/session", json!({}), 400),
        ("GET" | "HEAD", "/api/v2/session") => get(Rule::Authenticated, "/api/v2/session", 200),
        ("DELETE", "/api/v2/session") => get(Rule::Authenticated, "/api/v2/session?id=none", 404),
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/access-log") => {
            get(Rule::Citizen, &format!("{profile}/access-log"), 200)
        }
        ("GET" | "HEAD", "/api/v2/audit" | "/api/v2/audit/tree-head") => get(Rule::Auditing, path, 200),
        // The first entry is about the consent that the citizen has changed before.
        ("GET" | "HEAD", "/api/v2/audit/inclusion") => get(Rule::Auditing, &format!("{path}?leaf=0&size=1"), 200),
        ("GET" | "HEAD", "/api/v2/audit/consistency") => get(Rule::Auditing, &format!("{path}?from=0&to=1"), 200),
        ("POST", "/admin/revocations") => json(Rule::Operators, "/admin/revocations", json!({"jti": "nobody's"}), 201),
        ("GET" | "HEAD", "/api/v2/operations" | "/admin/allowlist") => get(Rule::Operators, path, 200),
        ("POST", "/admin/allowlist") => {
            let entry = json!({"caller": "svc:nobody", "reason": "a test", "expires_at": "2099-01-01T00:00:00Z"});
            json(Rule::Operators, path, entry, 201)
        }
        ("DELETE", "/admin/allowlist") => get(Rule::Operators, "/admin/allowlist?caller=svc:unknown", 404),
        ("POST", "/admin/limits/reset") => json(Rule::Operators, path, json!({"caller": "svc:nobody"}), 204),
        ("POST", "/admin/passivate") => json(Rule::Operators, path, json!({"user_id": OTHER}), 200),
        ("POST", "/admin/reload") => json(Rule::Operators, path, json!({}), 200),
        ("GET" | "HEAD", "/api/v2/schemas/{version}") => get(Rule::All, "/api/v2/schemas/2.0", 200),
        ("GET" | "HEAD", "/docs/{name}") => get(Rule::All, "/docs/http", 200),
        (
            "GET" | "HEAD",
            "/problems" | "/health/live" | "/health/ready" | "/metrics" | "/version" | "/api/v2/schemas",
        ) => get(Rule::All, path, 200),
        _ => panic!("`{method} {path}` is not in this table: say who may call it"),
    }
}

/// Returns the status and the problem that the contract gives a caller; `None` for the answer to those admitted.
fn refusal(rule: Rule, caller: &Caller, shares: bool) -> Option<(u16, &'static str)> {
    let role = caller.claim("role");
    match rule {
        Rule::All => None,
        _ if caller.token.is_none() => Some((401, "unauthenticated")),
        Rule::Authenticated => None,
        Rule::Viewers => (!caller.sees(shares)).then_some((404, "unknown-user")),
        Rule::PossibleViewers => (!caller.sees(true)).then_some((404, "unknown-user")),
        Rule::Citizen => (role != "self" || caller.claim("sub") != USER).then_some((404, "unknown-user")),
        Rule::Feed => (role != "service" || !caller.has("feed:identity")).then_some((403, "missing-scope")),
        Rule::Followers if !matches!(role, "service" | "admin") => Some((403, "forbidden")),
        Rule::Followers => (!caller.has("events:read")).then_some((403, "missing-scope")),
        Rule::Auditing => (!matches!(role, "auditor" | "self")).then_some((403, "forbidden")),
        Rule::Operators if role != "admin" => Some((403, "forbidden")),
        Rule::Operators => (!caller.has("operate")).then_some((403, "missing-scope")),
    }
}

/// The rows of the route table of both listeners, each method by itself.
fn rows(server: &TestServer) -> Vec<(std::net::SocketAddr, &'static str, String)> {
    let mut rows = Vec::new();
    for address in [server.listen, server.admin_listen] {
        let list = Request::new("GET", "/").header("accept", "application/json").send(address).json();
        for row in list["addresses"].as_array().unwrap() {
            for method in row["methods"].as_array().unwrap() {
                let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
                let method = known.into_iter().find(|known| method == known).expect("a known method");
                rows.push((address, method, row["path"].as_str().unwrap().to_owned()));
            }
        }
    }
    rows
}

fn send(
    probe: &Probe,
    method: &'static str,
    address: std::net::SocketAddr,
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

#[test]
fn every_route_answers_every_caller_as_the_contract_says() {
    let server = start_server();
    server.post_example();
    let rows = rows(&server);
    assert!(rows.len() > 25, "{rows:?}");
    for shares in [false, true] {
        let level = if shares { "full" } else { "minimal" };
        server.consent(USER, &json!({"data_sharing_level": level, "third_party_sharing": shares}));
        for (address, method, path) in &rows {
            let probe = probe(method, path);
            for caller in callers() {
                let add = |request: Request| match &caller.token {
                    Some(token) => request.bearer(&server.sign(token.clone())),
                    None => request,
                };
                let answer = send(&probe, method, *address, add);
                let case = format!("{method} {path} by {}, sharing {shares}", caller.name);
                check(&probe, &answer, refusal(probe.rule, &caller, shares), &case);
            }
        }
    }
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
fn a_session_gets_what_a_token_with_its_claims_gets() {
    let server = start_server();
    server.post_example();
    let rows = rows(&server);
    let people = callers().into_iter().filter(|caller| matches!(caller.claim("role"), "self" | "admin" | "auditor"));
    for caller in people {
        let (cookie, csrf) = session(&server, caller.token.as_ref().unwrap());
        for (address, method, path) in &rows {
            let probe = probe(method, path);
            let with_cookie = |request: Request| request.header("cookie", cookie.clone());
            let answer =
                send(&probe, method, *address, |request| with_cookie(request).header("x-csrf-token", csrf.clone()));
            let case = format!("{method} {path} by the session of {}", caller.name);
            check(&probe, &answer, refusal(probe.rule, &caller, true), &case);
            // Without the CSRF token nothing changes, whoever asks.
            if !matches!(*method, "GET" | "HEAD") && !matches!(probe.rule, Rule::All) {
                let answer = send(&probe, method, *address, with_cookie);
                assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{case}");
            }
        }
    }
}
