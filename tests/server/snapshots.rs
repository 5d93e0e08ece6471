//! Snapshots: taken on request or by the day, listed, read under the mask of today, and removed.

use serde_json::{Value, json};

use crate::follower::Follower;
use crate::http::{Request, Response};
use crate::test_server::{
    TestServer, USER, profile_path, residency, start_at, start_on, start_server, start_server_with,
};
use crate::token::Token;

fn path() -> String {
    format!("{}/snapshots", profile_path(USER))
}

fn admin() -> Token {
    Token::new("admin", "adm:asha", "profile:read")
}

/// Sends a request as an administrator, who gives a reason.
fn as_admin(server: &TestServer, method: &'static str, path: &str) -> Response {
    let request = Request::new(method, path).bearer(&server.sign(admin()));
    server.send(request.header("x-access-reason", "a test"))
}

/// Takes a snapshot as the citizen.
fn try_take(server: &TestServer) -> Response {
    server.send(Request::new("POST", path()).bearer(&server.sign(Token::citizen(USER))))
}

#[track_caller]
fn take(server: &TestServer) -> Value {
    let answer = try_take(server);
    assert_eq!(answer.status, 201, "{answer:?}");
    let snapshot = answer.json();
    let id = snapshot["snapshot_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("{}/{id}", path()));
    snapshot
}

#[track_caller]
fn list(server: &TestServer, token: Token, query: &str) -> Value {
    let answer = server.get(&format!("{}?{query}", path()), token);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["snapshot_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_snapshot_survives_a_kill_and_holds_the_profile_of_then() {
    let server = start_server();
    server.post_example();
    let then = server.own_profile(USER).json();
    let taken = take(&server);
    assert_eq!(taken["revision"], then["revision"], "taking a snapshot makes no revision");
    for member in ["profile_hash", "assembly_latency_ms", "schema_version"] {
        assert_eq!(taken[member], then[member], "{member}");
    }
    assert_eq!(taken["completeness_pct"], then["profile_completeness_pct"]);
    assert_eq!((&taken["trigger"], &taken["created_at"]), (&json!("manual"), &json!("2026-01-21T12:00:00Z")));
    assert_eq!(taken["expires_at"], "2026-02-20T12:00:00Z");
    assert!(taken["source_versions"]["identity"].is_string(), "{taken}");
    let server = start_on(server.kill());
    server.apply("metadata", &residency(USER, "later", "2026-01-21T11:00:00Z", 9));
    assert_ne!(server.own_profile(USER).json(), then);
    assert_eq!(list(&server, Token::citizen(USER), ""), json!({"items": [taken]}));
    let one = server.get(&format!("{}/{}", path(), taken["snapshot_id"].as_str().unwrap()), Token::citizen(USER));
    let mut expected = taken.clone();
    expected["profile"] = then.clone();
    assert_eq!(one.json(), expected);
    // After a checkpoint the snapshot is a side record of the store.
    let (status, data_dir) = server.terminate();
    assert!(status.success());
    let server = start_on(data_dir);
    assert_eq!(list(&server, Token::citizen(USER), ""), json!({"items": [taken]}));
    let answer = as_admin(&server, "DELETE", &format!("{}/{}", path(), taken["snapshot_id"].as_str().unwrap()));
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(list(&server, Token::citizen(USER), ""), json!({"items": []}));
    let server = start_on(server.kill());
    assert_eq!(list(&server, Token::citizen(USER), ""), json!({"items": []}));
    let gone = as_admin(&server, "DELETE", &format!("{}/{}", path(), taken["snapshot_id"].as_str().unwrap()));
    assert_eq!((gone.status, gone.problem().as_str()), (404, "unknown-snapshot"));
}

#[test]
fn pages_are_stable_and_obey_a_withdrawal_between_two_of_them() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let mut taken: Vec<Value> = (0..5).map(|_| take(&server)).collect();
    let service = || Token::service("profile:read");
    let mut all = ids(&list(&server, service(), ""));
    assert_eq!(all.len(), 5);
    let first = list(&server, service(), "limit=2");
    assert_eq!(ids(&first), all[..2]);
    for item in first["items"].as_array().unwrap() {
        assert!(item["completeness_pct"].is_number() && item.get("source_versions").is_none(), "{item}");
    }
    taken.push(take(&server));
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&server, service(), &format!("limit=2&cursor={cursor}"));
    assert_eq!(ids(&second), all[2..4], "what was taken meanwhile comes before");
    for item in second["items"].as_array().unwrap() {
        assert!(item.get("completeness_pct").is_none(), "{item}");
    }
    let cursor = second["next_cursor"].as_str().unwrap();
    let last = list(&server, service(), &format!("limit=2&cursor={cursor}"));
    assert_eq!((ids(&last), last.get("next_cursor")), (all.split_off(4), None));
    // The profile of then is masked as the newest one is now.
    let answer = server.get(&format!("{}/{}", path(), ids(&first)[0]), service());
    let now = server.get(&profile_path(USER), service()).json();
    let mut then = answer.json()["profile"].clone();
    assert_eq!(answer.json().get("completeness_pct"), None);
    for member in ["revision", "generated_at", "assembly_latency_ms", "profile_hash"] {
        then[member] = now[member].clone();
    }
    assert_eq!(then, now);
}

#[test]
fn bad_requests_for_snapshots_are_refused() {
    let server = start_server_with("[history]\nmax_snapshots = 2\n");
    let unknown = try_take(&server);
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-user"));
    server.post_example();
    let post = |kind: &str, body: &str| {
        let request = Request::new("POST", path()).bearer(&server.sign(Token::citizen(USER)));
        let answer = server.send(request.body(kind, body.as_bytes()));
        (answer.status, answer.problem())
    };
    assert_eq!(post("application/json", r#"{"trigger":"daily"}"#), (422, "invalid".to_owned()));
    assert_eq!(post("application/json", r#"{"x":1}"#), (400, "malformed-body".to_owned()));
    assert_eq!(post("text/plain", "{}"), (415, "unsupported-media-type".to_owned()));
    take(&server);
    let second = take(&server);
    let third = try_take(&server);
    assert_eq!((third.status, third.problem().as_str()), (409, "too-many-snapshots"));
    let id = second["snapshot_id"].as_str().unwrap();
    assert_eq!(as_admin(&server, "DELETE", &format!("{}/{id}", path())).status, 204);
    take(&server);
    for query in ["limit=0", "limit=201", "cursor=x"] {
        let answer = server.get(&format!("{}?{query}", path()), Token::citizen(USER));
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-parameter"), "{query}");
    }
    let answer = server.get(&format!("{}/nothing", path()), Token::citizen(USER));
    assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-snapshot"));
    let mine =
        server.send(Request::new("DELETE", format!("{}/{id}", path())).bearer(&server.sign(Token::citizen(USER))));
    assert_eq!(mine.status, 403, "only administrators remove snapshots");
}

#[test]
fn the_last_revision_of_a_day_is_a_snapshot_once_the_day_is_over() {
    let server = start_server();
    server.post_example();
    let then = server.own_profile(USER).json();
    assert_eq!(list(&server, Token::citizen(USER), ""), json!({"items": []}), "the day is not over");
    let (_, data_dir) = server.terminate();
    let server = start_at(data_dir, "2026-01-22T12:00:00Z");
    let events = Token::service("events:read profile:read");
    let mut follower = Follower::open(&server, events, "types=profile.snapshot.created");
    // A roll to the new day is the first step of it.
    let now = server.own_profile(USER).json();
    assert!(now["revision"].as_u64() > then["revision"].as_u64());
    let listed = list(&server, Token::citizen(USER), "");
    let [daily] = &listed["items"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!((&daily["trigger"], &daily["revision"]), (&json!("daily"), &then["revision"]));
    assert_eq!((&daily["created_at"], &daily["profile_hash"]), (&then["generated_at"], &then["profile_hash"]));
    let id = daily["snapshot_id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{}/{id}", path()), Token::citizen(USER)).json()["profile"], then);
    let event = follower.next().unwrap().event;
    let data =
        json!({"created_at": then["generated_at"], "revision": then["revision"], "snapshot_id": id, "user_id": USER});
    assert_eq!((&event["type"], &event["data"]), (&json!("profile.snapshot.created"), &data));
    let taken = take(&server);
    let event = follower.next().unwrap().event;
    assert_eq!(event["data"]["snapshot_id"], taken["snapshot_id"]);
    assert_eq!(event["data"]["created_at"], "2026-01-22T12:00:00Z");
    assert_eq!(as_admin(&server, "DELETE", &format!("{}/{id}", path())).status, 204);
    assert_eq!(ids(&list(&server, Token::citizen(USER), "")), [taken["snapshot_id"].as_str().unwrap()]);
}

/// Runs `replay` on a data directory. Returns whether it succeeded, and what it printed on each output.
fn replay(data_dir: &std::path::Path, user: &str) -> (bool, String, String) {
    let mut command = std::process::Command::new(crate::test_server::PROGRAM);
    let output = command.arg("replay").arg("--data-dir").arg(data_dir).args(["--user", user]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn replay_rebuilds_every_revision_offline_and_prints_no_values() {
    let server = start_server();
    server.post_example();
    for years in 1..40 {
        let id = format!("years-{years}");
        server.apply("metadata", &residency(USER, &id, &format!("2026-01-21T10:{years:02}:00Z"), years));
    }
    take(&server);
    let head = server.own_profile(USER).json();
    let (ran, _, error) = replay(server.data_dir.path(), USER);
    assert!(!ran && error.contains("another process"), "the server holds the lock: {error}");
    // Once with everything in the journal, and once with everything in the store.
    let mut data_dir = server.kill();
    for round in 0..2 {
        let (ran, line, error) = replay(data_dir.path(), USER);
        assert!(ran, "round {round}: {error}");
        let report: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&report["newest_revision"], &report["revisions"]), (&head["revision"], &head["revision"]));
        assert_eq!((&report["faults"], &report["dropped_revisions"]), (&json!(0), &json!(0)));
        assert_eq!(report["profile_hash"], head["profile_hash"]);
        for value in ["mysuru", "salaried", "Rajesh"] {
            assert!(!line.contains(value) && !error.contains(value), "{line}");
        }
        data_dir = start_on(data_dir).terminate().1;
    }
    let (ran, _, error) = replay(data_dir.path(), "usr_SomebodyElse01");
    assert!(!ran && error.contains("the user is not in"), "{error}");
}
