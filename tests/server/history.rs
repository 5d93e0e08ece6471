//! Reads through the history of a profile.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, TestServer, USER, eventually, profile_path, residency, start_at, start_server};
use crate::token::Token;

/// When the revisions of [`over_three_days`] are made: one before midnight in India, and two in the next days.
const CLOCKS: [&str; 3] = ["2026-01-20T18:29:59Z", "2026-01-21T12:00:00Z", "2026-01-22T12:00:00Z"];

/// Returns a server that was started on three days and has applied an event on each, and the revision after each event.
fn over_three_days() -> (TestServer, Vec<u64>) {
    let mut dir = Some(TempDir::new().unwrap());
    let mut revisions = Vec::new();
    for (number, clock) in (1..).zip(CLOCKS) {
        let server = start_at(dir.take().unwrap(), clock);
        // Of equal times, the greater id wins.
        server.apply("metadata", &residency(USER, &format!("day-{number}"), "2026-01-10T06:00:00Z", 10 + number));
        revisions.push(server.own_profile(USER).json()["revision"].as_u64().unwrap());
        if number == 3 {
            return (server, revisions);
        }
        dir = Some(if number == 1 { server.terminate().1 } else { server.kill() });
    }
    unreachable!("the third day returns")
}

fn own(server: &TestServer, tail: &str) -> Response {
    server.get(&format!("{}{tail}", profile_path(USER)), Token::citizen(USER))
}

#[track_caller]
fn refused(answer: &Response, status: u16, problem: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{answer:?}");
}

#[test]
fn an_instant_gives_what_was_published_then_over_restarts() {
    let (server, revisions) = over_three_days();
    let [first, second, third] = revisions[..] else { panic!("three days") };
    for (instant, expected) in [
        ("2026-01-20T18:29:59Z", first),
        ("2026-01-20T18:29:59.999999Z", first),
        // The day has turned in India. Nobody has read the profile since, so nothing was published.
        ("2026-01-20T18:30:00Z", first),
        ("2026-01-21T00:00:00%2B05:30", first),
        ("2026-01-21T11:59:59.999999Z", first),
        ("2026-01-21T12:00:00Z", second),
        // Noon in UTC, in the winter and the summer of New York.
        ("2026-01-21T07:00:00-05:00", second),
        ("2026-01-21T08:00:00-04:00", second),
        ("2026-01-21T17:29:59.9%2B05:30", first),
        ("2026-01-21T17:29:59.9+05:30", first),
        ("2026-01-21T23:59:59Z", second),
        ("2026-01-22T12:00:00Z", third),
    ] {
        let read = own(&server, &format!("?as_of={instant}"));
        assert_eq!(read.status, 200, "{read:?}");
        let view = read.json();
        assert_eq!(view["revision"].as_u64(), Some(expected), "{instant}");
        assert_eq!(read.header("x-profile-revision"), expected.to_string());
        assert_eq!(view, own(&server, &format!("?revision={expected}")).json());
    }
    refused(&own(&server, "?as_of=2026-01-20T18:29:58.999999Z"), 404, "unknown-revision");
    refused(&own(&server, "?as_of=2025-12-31T23:59:60Z"), 404, "unknown-revision");
    refused(&own(&server, "?as_of=2026-01-22T12:00:00.000001Z"), 400, "invalid-parameter");
    for bad in ["2026-01-21", "2026-01-21T12:00:00", "2026-01-21T12:34:60Z", "yesterday", "", "17"] {
        refused(&own(&server, &format!("?as_of={bad}")), 400, "invalid-parameter");
    }
    assert_eq!(own(&server, &format!("?revision={third}")).json(), server.own_profile(USER).json());
    for (revision, status, problem) in [
        ("0", 404, "unknown-revision"),
        (&*(third + 1).to_string(), 404, "unknown-revision"),
        ("99999999999999999999999", 404, "unknown-revision"),
        ("-1", 400, "invalid-parameter"),
        ("x", 400, "invalid-parameter"),
        ("1&revision=1", 400, "invalid-parameter"),
        ("1&as_of=2026-01-21T12:00:00Z", 400, "invalid-parameter"),
    ] {
        refused(&own(&server, &format!("?revision={revision}")), status, problem);
    }
}

#[test]
fn a_past_view_has_its_tag_and_its_fields() {
    let (server, revisions) = over_three_days();
    let past = own(&server, &format!("?revision={}", revisions[0]));
    assert_eq!(past.header("content-type"), "application/vnd.civic.profile+json;version=2.0");
    let tag = past.header("etag").to_owned();
    assert!(tag.starts_with("\"e") && tag.contains(&format!("-r{}-", revisions[0])), "{tag}");
    let token = server.sign(Token::citizen(USER));
    let ask = |tag: &str| {
        let path = format!("{}?revision={}", profile_path(USER), revisions[0]);
        server.send(Request::new("GET", path).bearer(&token).header("if-none-match", tag)).status
    };
    assert_eq!((ask(&tag), ask(server.own_profile(USER).header("etag"))), (304, 200));
    let sparse =
        own(&server, &format!("?revision={}&fields=demographics.residency_years,nonsense", revisions[0])).json();
    assert_eq!(sparse["demographics"], json!({"residency_years": 11}));
    assert_eq!(sparse["_meta"]["fields_included"], json!(["demographics.residency_years"]));
    assert_eq!(sparse["revision"].as_u64(), Some(revisions[0]));
    assert!(sparse.get("trust").is_none());
    // The mask is today's, so that the tag of a caller changes with consent, though the past does not.
    let path = format!("{}?revision={}", profile_path(USER), revisions[0]);
    let before = server.get(&path, Token::service("profile:read"));
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let after = server.get(&path, Token::service("profile:read"));
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(before.json().get("profile_completeness_pct").is_none());
    assert!(after.json().get("profile_completeness_pct").is_some());
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    assert_eq!(server.get(&path, Token::service("profile:read")).json(), before.json(), "withdrawn for the past, too");
}

#[test]
fn differences_have_the_members_of_the_contract_or_are_bare() {
    let (server, revisions) = over_three_days();
    let (from, to) = (revisions[0], revisions[2]);
    let diff = own(&server, &format!("/diff?from={from}&to={to}"));
    assert_eq!((diff.status, diff.header("content-type")), (200, "application/json"));
    let document = diff.json();
    let newest = server.own_profile(USER).json();
    let members: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["base_revision", "generated_at", "operations", "patch_id", "profile_id", "revision", "schema_version"];
    assert_eq!(members, expected);
    assert_eq!((&document["base_revision"], &document["revision"]), (&json!(from), &json!(to)));
    for name in ["profile_id", "generated_at", "schema_version"] {
        assert_eq!(document[name], newest[name], "{name}");
    }
    assert!(document["patch_id"].as_str().unwrap().starts_with("patch_"));
    let delta = own(&server, &format!("/delta?since={from}"));
    assert_eq!(delta.json(), document, "the same points, the same difference");
    let by_time = own(&server, &format!("/diff?from={}&to={}", CLOCKS[0], CLOCKS[2]));
    assert_eq!(by_time.json(), document);

    let token = server.sign(Token::citizen(USER));
    let bare = |path: String, accept: &'static str| {
        server.send(Request::new("GET", path).bearer(&token).header("accept", accept))
    };
    let patch = bare(format!("{}/delta?since={from}", profile_path(USER)), "application/json-patch+json");
    assert_eq!(patch.header("content-type"), "application/json-patch+json");
    assert_eq!(patch.json(), document["operations"]);
    let none = bare(format!("{}/delta?since={from}", profile_path(USER)), "text/html");
    refused(&none, 406, "not-acceptable");

    let same = own(&server, &format!("/diff?from={to}&to={to}")).json();
    assert_eq!(same["operations"], json!([]));
    let back = own(&server, &format!("/diff?from={to}&to={from}")).json();
    let mut view = newest;
    let operations: json_patch::Patch = serde_json::from_value(back["operations"].clone()).unwrap();
    json_patch::patch(&mut view, &operations).unwrap();
    assert_eq!(view, own(&server, &format!("?revision={from}")).json());

    refused(&own(&server, "/delta"), 400, "invalid-parameter");
    refused(&own(&server, "/delta?since=x"), 400, "invalid-parameter");
    refused(&own(&server, "/diff?from=1"), 400, "invalid-parameter");
    refused(&own(&server, &format!("/delta?since={}", to + 1)), 404, "unknown-revision");
    for id in ["snap_019bd000-0000-7000-8000-000000000000", "snap_", "snap_x"] {
        refused(&own(&server, &format!("/delta?since={id}")), 404, "unknown-snapshot");
    }
    refused(&own(&server, &format!("/diff?from=1&to={}", to + 1)), 404, "unknown-revision");
}

#[test]
fn a_snapshot_is_a_point() {
    let (server, revisions) = over_three_days();
    let (first, newest) = (revisions[0], revisions[2]);
    let request = Request::new("POST", format!("{}/snapshots", profile_path(USER)));
    let taken = server.send(request.bearer(&server.sign(Token::citizen(USER))));
    assert_eq!(taken.status, 201, "{taken:?}");
    let id = taken.json()["snapshot_id"].as_str().unwrap().to_owned();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let by_number = own(&server, &format!("/delta?since={newest}")).json();
    assert_ne!(by_number["operations"], json!([]));
    assert_eq!(own(&server, &format!("/delta?since={id}")).json(), by_number);
    let back = own(&server, &format!("/diff?from={id}&to={first}")).json();
    assert_eq!(back, own(&server, &format!("/diff?from={newest}&to={first}")).json());
    // That of a day has an id, too.
    let listed = own(&server, "/snapshots").json();
    let items = listed["items"].as_array().unwrap();
    let daily = items.iter().find(|item| item["revision"].as_u64() == Some(first)).unwrap()["snapshot_id"].clone();
    let daily = own(&server, &format!("/diff?from={}&to={id}", daily.as_str().unwrap())).json();
    assert_eq!(daily, own(&server, &format!("/diff?from={first}&to={newest}")).json());
}

#[test]
fn the_list_of_revisions_comes_in_stable_pages() {
    let (server, revisions) = over_three_days();
    let newest = revisions[2];
    let all = own(&server, "/history").json();
    let numbers = |page: &Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|item| item["revision"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&all), (1..=newest).rev().collect::<Vec<_>>());
    assert_eq!(all["next_cursor"], Value::Null);
    let by_event = |id: &str| all["items"].as_array().unwrap().iter().find(|item| item["cause"]["event_id"] == id);
    let first = by_event("day-1").unwrap();
    assert_eq!(first["cause"], json!({"kind": "feed", "source": "metadata", "event_id": "day-1"}));
    assert!(first["changed"].as_array().unwrap().contains(&json!("demographics.residency_years")), "{first}");
    assert_eq!(first["generated_at"], CLOCKS[0]);

    let (mut cursor, mut paged) = (String::new(), Vec::new());
    loop {
        let page = own(&server, &format!("/history?limit=1{cursor}")).json();
        paged.extend(numbers(&page));
        // Revisions that come meanwhile move nothing.
        server.consent(USER, &json!({"analytics_opt_in": paged.len() % 2 == 0}));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, (1..=newest).rev().collect::<Vec<_>>());
    let person = own(&server, "/history?limit=1").json()["items"][0].clone();
    assert_eq!((&person["cause"]["kind"], &person["cause"]["person"]), (&json!("person"), &json!(USER)));
    assert!(person["cause"]["event_id"].is_string() && person["cause"]["source"] == "consent");
    for bad in ["limit=0", "limit=201", "cursor=!", "cursor=1"] {
        refused(&own(&server, &format!("/history?{bad}")), 400, "invalid-parameter");
    }
}

#[test]
fn reads_through_history_have_their_limits_and_leave_their_entries() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("limits.toml"), config::LIMITS_TOML).unwrap();
    let server = start_at(dir, CLOCKS[2]);
    server.post_example();
    for left in (0..10).rev() {
        let answer = own(&server, "/diff?from=1&to=2");
        assert_eq!(
            (answer.status, answer.header("ratelimit-policy")),
            (200, "\"diff\";q=10;w=60, \"sensitive\";q=30;w=60")
        );
        assert!(answer.header("ratelimit").contains(&format!("\"diff\";r={left}")), "{answer:?}");
    }
    assert_eq!(own(&server, "/diff?from=1&to=2").status, 429);
    // Those count as sensitive, too; all other reads through history share what is left.
    for tail in
        ["?revision=1", "/delta?since=1", "/history", "?as_of=2026-01-22T12:00:00Z", "?as%5Fof=2026-01-22T12:00:00Z"]
    {
        for _ in 0..4 {
            assert_eq!(own(&server, tail).status, 200, "{tail}");
        }
    }
    assert_eq!(own(&server, "?revision=1").status, 429);
    assert_eq!(own(&server, "").status, 200, "reads of the newest revision count by themselves");

    let service = server.get(&format!("{}?revision=2", profile_path(USER)), Token::service("profile:read"));
    assert_eq!(service.status, 200);
    let entries = crate::route_table::entries(&server);
    let read = entries.iter().find(|entry| entry["actor"] == "svc:test").unwrap();
    assert_eq!((&read["category"], &read["action"]), (&json!("compliance"), &json!("profile.past.read")));
    assert_eq!((&read["revision"], &read["decision"]), (&json!(2), &json!("allowed")));
    let citizens =
        entries.iter().filter(|entry| entry["action"] == "profile.diff.read" && entry["category"] == "compliance");
    assert_eq!(citizens.count(), 10, "one for each that was answered");
}

#[test]
fn metrics_tell_how_many_reads_went_to_history_and_how_long_they_took() {
    let server = start_server();
    server.post_example();
    let before = server.metric("profile_history_reads_total{result=\"done\"}");
    let durations =
        |stage: &str| server.metric(&format!("profile_history_read_duration_seconds_count{{stage=\"{stage}\"}}"));
    let (waits, reads) = (durations("wait"), durations("read"));
    for _ in 0..3 {
        assert_eq!(own(&server, "?revision=1").status, 200);
    }
    // A read is counted after it was answered.
    eventually("the reads are counted", || {
        server.metric("profile_history_reads_total{result=\"done\"}") == before + 3.0
    });
    assert_eq!((durations("wait"), durations("read")), (waits + 3.0, reads + 3.0));
    for result in ["failed", "refused", "abandoned"] {
        assert_eq!(server.metric(&format!("profile_history_reads_total{{result=\"{result}\"}}")), 0.0);
    }
    assert_eq!(server.metric("profile_history_reads_waiting"), 0.0);
}

fn cli(server: &TestServer, token: Token, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).args(["--server", &server.listen.to_string()]);
    command.env("PROFILE_SERVER_TOKEN", server.sign(token)).output().unwrap()
}

#[test]
fn the_commands_show_revisions_and_differences() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"analytics_opt_in": false}));
    let newest = server.own_profile(USER).json()["revision"].as_u64().unwrap();
    let output = cli(&server, Token::citizen(USER), &["history", USER]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{:?}", String::from_utf8(output.stderr));
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len() as u64, newest + 1, "a heading and a line a revision: {table}");
    assert!(lines[0].starts_with("revision"), "{table}");
    assert!(lines[1].starts_with(&newest.to_string()) && lines[1].contains(&format!("person {USER}")), "{table}");
    assert!(lines[1].contains("consent.analytics_opt_in"), "{table}");
    assert!(table.contains("metadata "), "{table}");
    let some = cli(&server, Token::citizen(USER), &["history", USER, "--limit", "2"]);
    assert_eq!(String::from_utf8(some.stdout).unwrap().lines().count(), 3);

    let diff = cli(&server, Token::citizen(USER), &["diff", USER, &(newest - 1).to_string(), &newest.to_string()]);
    let text = String::from_utf8(diff.stdout).unwrap();
    assert!(
        text.lines().any(|line| line.starts_with("replace /consent/analytics_opt_in")
            || line.starts_with("add /consent/analytics_opt_in")),
        "{text}"
    );
    let whole = cli(&server, Token::citizen(USER), &["diff", USER, "1", &newest.to_string(), "--json"]);
    let document: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(document["base_revision"], 1);

    let admin = Token::new("admin", "adm:asha", "profile:read");
    let refused = cli(&server, admin.clone(), &["history", USER]);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--reason"), "the error says what to do");
    assert!(cli(&server, admin, &["history", USER, "--reason", "complaint 42"]).status.success());
}
