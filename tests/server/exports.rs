//! Bulk exports over HTTP: from the request to a file that its verifier accepts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data::{Population, PopulationOptions};
use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, eventually, start_on, start_server};
use crate::token::{Token, now};

/// People of the tests. Most of them take part in analytics.
pub(crate) const PEOPLE: u64 = 3_000;

pub(crate) fn exporter() -> Token {
    Token::new("admin", "adm:analyst", "export").with("amr", json!(["mfa"])).with("auth_time", now())
}

/// Posts the history of a generated population.
pub(crate) fn load(server: &TestServer, people: u64) {
    let population = Population::new(PopulationOptions { users: people, ..PopulationOptions::default() });
    let mut feeds: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for person in 0..people {
        for event in population.first_events(person) {
            let lines = feeds.entry(event.source).or_default();
            lines.extend_from_slice(&event.json);
            lines.push(b'\n');
        }
    }
    for (source, lines) in feeds {
        let answer = server.post_as(source, "application/x-ndjson", lines);
        assert_eq!(answer.status, 200, "{source}: {answer:?}");
    }
}

pub(crate) fn start(server: &TestServer, request: &Value) -> Response {
    let token = server.sign(exporter());
    let request = Request::new("POST", "/api/v2/profiles/bulk-export")
        .bearer(&token)
        .body("application/json", request.to_string());
    server.send(request)
}

/// Starts a job and waits for its end. Returns its id and its status.
#[track_caller]
pub(crate) fn export(server: &TestServer, request: &Value) -> (String, Value) {
    let started = start(server, request);
    assert_eq!(started.status, 202, "{started:?}");
    let job = started.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("/api/v2/exports/{job}"));
    let mut status = Value::Null;
    eventually("the job ends", || {
        status = server.get(&format!("/api/v2/exports/{job}"), exporter()).json();
        !["queued", "running"].contains(&status["state"].as_str().unwrap())
    });
    (job, status)
}

pub(crate) fn download(server: &TestServer, job: &str, range: Option<&str>) -> Response {
    let token = server.sign(exporter());
    let request = Request::new("GET", format!("/api/v2/exports/{job}/download")).bearer(&token);
    server.send(range.into_iter().fold(request, |request, range| request.header("range", range)))
}

/// Writes a file of an export, and returns its path and what `verify-export` says.
fn verify(directory: &Path, name: &str, bytes: &[u8]) -> (PathBuf, Output) {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(PROGRAM).arg("verify-export").arg(&path).output().unwrap();
    (path, output)
}

#[test]
fn records_in_every_format_are_verified_from_the_file_alone() {
    let server = start_server();
    load(&server, PEOPLE);
    for format in ["parquet", "arrow", "ndjson"] {
        let (job, status) = export(&server, &json!({"format": format, "k": 10, "l": 2}));
        assert_eq!(status["state"], "done", "{status}");
        assert!(status["rows_written"].as_u64() > Some(PEOPLE / 3), "{status}");
        let suppressed = status["rows_suppressed"].as_u64().unwrap();
        assert!(suppressed * 20 <= suppressed + status["rows_written"].as_u64().unwrap(), "{status}");
        assert_eq!(status["backend"], "cpu");

        let file = download(&server, &job, None);
        assert_eq!((file.status, file.body.len() as u64), (200, status["bytes"].as_u64().unwrap()));
        let part = download(&server, &job, Some("bytes=10-29"));
        assert_eq!((part.status, &part.body[..]), (206, &file.body[10..30]));
        assert_eq!(part.header("content-range"), format!("bytes 10-29/{}", file.body.len()));
        assert_eq!(download(&server, &job, Some("bytes=999999999-")).status, 416);

        let (path, verified) = verify(server.data_dir.path(), &format!("{job}.{format}"), &file.body);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert!(
            report["smallest_class"].as_u64() >= Some(10) && report["least_distinct"].as_u64() >= Some(2),
            "{report}"
        );
        assert_eq!(report["rows"], status["rows_written"]);
        // What identifies a person is in none of the files.
        for word in [&b"usr_"[..], b"prof_", b"display_name", b"pincode", b"tok_"] {
            assert!(!file.body.windows(word.len()).any(|window| window == word), "{format}: {word:?}");
        }
        if format == "ndjson" {
            let text = String::from_utf8(file.body.to_vec()).unwrap();
            let (first, _) = text.split_once('\n').unwrap();
            let claimed = text.replacen("\"k\":\"10\"", "\"k\":\"400000\"", 1);
            assert!(first.contains("\"k\":\"10\""), "{first}");
            std::fs::write(&path, claimed).unwrap();
            let refused = Command::new(PROGRAM).arg("verify-export").arg(&path).output().unwrap();
            assert_eq!(refused.status.code(), Some(1));
            assert!(String::from_utf8_lossy(&refused.stderr).contains("a class has"), "{refused:?}");
            // A file that claims to have no quasi-identifiers is one class, which is large enough for any k.
            let meta: Value = serde_json::from_str(first).unwrap();
            let listed = |name: &str| meta["_meta"]["metadata"][name].as_str().unwrap().to_owned();
            let (quasi, sensitive) = (listed("quasi_identifiers"), listed("sensitive"));
            let all = format!("{},{}", quasi.trim_end_matches(']'), sensitive.trim_start_matches('['));
            let quoted = |list: &str| serde_json::to_string(list).unwrap();
            let moved = text.replacen(&quoted(&sensitive), &quoted(&all), 1).replacen(&quoted(&quasi), "\"[]\"", 1);
            std::fs::write(&path, moved).unwrap();
            let refused = Command::new(PROGRAM).arg("verify-export").arg(&path).output().unwrap();
            let message = String::from_utf8_lossy(&refused.stderr);
            assert!(message.contains("does not name among the quasi-identifiers"), "{refused:?}");
        }

        let token = server.sign(exporter());
        let deleted = server.send(Request::new("DELETE", format!("/api/v2/exports/{job}")).bearer(&token));
        assert_eq!(deleted.status, 204);
        assert_eq!(download(&server, &job, None).status, 410);
    }
}

#[test]
fn an_export_whose_file_was_deleted_still_counts_for_later_ones() {
    let server = start_server();
    load(&server, PEOPLE);
    let (job, status) = export(&server, &json!({"columns": ["gender"], "k": 5, "l": 1}));
    assert_eq!(status["state"], "done", "{status}");
    let token = server.sign(exporter());
    assert_eq!(server.send(Request::new("DELETE", format!("/api/v2/exports/{job}")).bearer(&token)).status, 204);
    let server = start_on(server.kill());
    // Few people have so incomplete a profile that this filter leaves them out.
    let population = Population::new(PopulationOptions { users: PEOPLE, ..PopulationOptions::default() });
    let mut completeness: Vec<u64> = Vec::new();
    for person in 0..PEOPLE {
        let profile = server.own_profile(&population.user_id(person)).json();
        if profile["consent"]["analytics_opt_in"] == json!(true) {
            completeness.push(profile["profile_completeness_pct"].as_u64().unwrap());
        }
    }
    completeness.sort_unstable();
    let least = *completeness.iter().find(|pct| **pct > completeness[0]).unwrap();
    let few = completeness.iter().filter(|pct| **pct < least).count();
    assert!((1..5).contains(&few), "{few} people have the lowest completeness: the population has changed");
    let narrower = json!({"columns": ["gender"], "k": 5, "l": 1, "filter": {"min_completeness": least}});
    let (_, status) = export(&server, &narrower);
    assert_eq!(status["state"], "failed", "{status}");
    assert!(status["error"].as_str().unwrap().contains("in too few people"), "{status}");
}

#[test]
fn nobody_without_consent_to_analytics_is_in_an_export() {
    let server = start_server();
    load(&server, 400);
    let (_, before) = export(&server, &json!({"columns": ["gender"], "k": 5, "l": 1}));
    assert_eq!(before["state"], "done", "{before}");
    let population = Population::new(PopulationOptions { users: 400, ..PopulationOptions::default() });
    let mut left = 0;
    for person in 0..400 {
        let user = population.user_id(person);
        let consent = server.own_profile(&user).json()["consent"].clone();
        if consent["analytics_opt_in"] == json!(true) {
            server.consent(&user, &json!({"data_sharing_level": "full", "analytics_opt_in": false}));
            left += 1;
        }
    }
    let rows = before["rows_written"].as_u64().unwrap() + before["rows_suppressed"].as_u64().unwrap();
    assert_eq!(rows, left, "{before}");
    let (_, after) = export(&server, &json!({"columns": ["gender"], "k": 5, "l": 1}));
    assert_eq!((&after["state"], &after["rows_scanned"]), (&json!("failed"), &json!(400)), "{after}");
}

#[test]
fn jobs_survive_a_restart_and_belong_to_their_owner() {
    let server = start_server();
    load(&server, 600);
    let (job, status) = export(&server, &json!({"columns": ["gender", "age_bracket"]}));
    assert_eq!(status["state"], "done", "{status}");
    let file = download(&server, &job, None).body;
    let server = start_on(server.kill());
    assert_eq!(download(&server, &job, None).body, file);
    let listed = server.get("/api/v2/exports", exporter()).json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["job_id"]), (1, &json!(job)));

    let other = || Token::new("admin", "adm:other", "export").with("amr", json!(["mfa"])).with("auth_time", now());
    for path in ["", "/download", "/events"] {
        assert_eq!(server.get(&format!("/api/v2/exports/{job}{path}"), other()).status, 404, "{path}");
    }
    assert_eq!(server.get("/api/v2/exports", other()).json(), json!({"items": []}));
    let (status, data_dir) = server.terminate();
    assert!(status.success());
    let server = start_on(data_dir);
    assert_eq!(download(&server, &job, None).body, file);
}

#[test]
fn a_request_needs_the_scope_a_second_factor_and_what_it_asks_for_must_exist() {
    let server = start_server();
    let post = |token: Token, body: &Value| {
        let request = Request::new("POST", "/api/v2/profiles/bulk-export").bearer(&server.sign(token));
        server.send(request.body("application/json", body.to_string()))
    };
    let plain = Token::new("admin", "adm:analyst", "export");
    assert_eq!(post(plain.clone(), &json!({})).status, 401);
    assert_eq!(post(Token::new("admin", "adm:analyst", "operate"), &json!({})).status, 403);
    assert_eq!(post(Token::service("export"), &json!({})).status, 403);
    for (body, pointer) in [
        (json!({"k": 4}), "/k"),
        (json!({"format": "csv"}), "/format"),
        (json!({"columns": ["pincode"]}), "/columns/0"),
        (json!({"mode": "aggregate"}), "/epsilon"),
        (json!({"filter": {"name": "x"}}), "/filter/name"),
        (json!({"rows": 5}), "/rows"),
    ] {
        let refused = post(exporter(), &body);
        assert_eq!(refused.status, 422, "{body}: {refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{refused:?}");
    }
    assert_eq!(server.get("/api/v2/exports", exporter()).json(), json!({"items": []}));
    assert_eq!(server.get("/api/v2/exports/exp_00000000000000000000000000000000", exporter()).status, 404);
    assert_eq!(server.get("/api/v2/exports/nothing", exporter()).status, 404);
    assert_eq!(server.get("/api/v2/exports?limit=0", exporter()).status, 400);
}

#[test]
fn aggregates_have_noise_and_a_budget() {
    let server = start_server();
    load(&server, PEOPLE);
    let request =
        json!({"mode": "aggregate", "format": "ndjson", "epsilon": 2, "columns": ["region", "gender", "total_active"]});
    let (job, status) = export(&server, &request);
    assert_eq!(status["state"], "done", "{status}");
    let text = String::from_utf8(download(&server, &job, None).body.to_vec()).unwrap();
    let rows: Vec<Value> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let total: i64 = rows.iter().map(|row| row["count"].as_i64().unwrap()).sum();
    assert!(rows.len() > 5 && rows.iter().all(|row| row["count"].as_i64() >= Some(10)), "{rows:?}");
    assert!((PEOPLE as i64 / 3..PEOPLE as i64 * 2).contains(&total), "{total}");
    let (path, verified) = verify(server.data_dir.path(), "aggregate.ndjson", text.as_bytes());
    assert!(verified.status.success(), "{}: {verified:?}", path.display());
    let smallest = rows.iter().map(|row| row["count"].as_u64().unwrap()).min().unwrap();
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((&report["k"], &report["smallest_group"]), (&json!(10), &json!(smallest)));
    let lowered = text.replacen(&format!("\"count\":{smallest},"), "\"count\":9,", 1);
    let (_, refused) = verify(server.data_dir.path(), "lowered.ndjson", lowered.as_bytes());
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("a group has a `count`"), "{message}");

    for _ in 0..4 {
        assert_eq!(export(&server, &request).1["state"], "done");
    }
    let spent = start(&server, &request);
    assert_eq!((spent.status, &spent.json()["type"]), (429, &json!("/problems/privacy-budget-spent")), "{spent:?}");
    // A crash gives nothing back.
    let server = start_on(server.kill());
    assert_eq!(start(&server, &request).status, 429);
}

#[test]
fn aggregates_need_no_columns() {
    let server = start_server();
    load(&server, 600);
    let (job, status) = export(&server, &json!({"mode": "aggregate", "format": "ndjson", "epsilon": 1}));
    assert_eq!(status["state"], "done", "{status}");
    assert!(status["levels"].get("age_bracket").is_some() && status["levels"].get("income_bracket").is_none());
    let text = String::from_utf8(download(&server, &job, None).body.to_vec()).unwrap();
    assert!(text.contains("total_active_sum") && text.contains("overall_risk_count_"), "{text}");
    let refused = start(&server, &json!({"mode": "aggregate", "epsilon": 1, "columns": ["district"]}));
    assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!("/columns/0")), "{refused:?}");
}

#[test]
fn feasibility_names_the_levels_that_an_export_gets() {
    let server = start_server();
    load(&server, PEOPLE);
    let feasible = server.get("/api/v2/exports/feasibility?k=10&l=2", exporter()).json();
    assert_eq!(feasible["feasible"], true, "{feasible}");
    let (_, status) = export(&server, &json!({"k": 10, "l": 2}));
    assert_eq!(status["levels"], feasible["levels"]);
    let none = server.get("/api/v2/exports/feasibility?k=100000", exporter()).json();
    assert_eq!((&none["feasible"], none.get("levels")), (&json!(false), None));
    // Nothing in an answer tells whether one person has joined.
    let members: Vec<&String> = feasible.as_object().unwrap().keys().collect();
    assert_eq!(members, ["feasible", "k", "l", "levels", "rows"]);
    assert_eq!(feasible["rows"].as_u64().unwrap() % 100, 0, "{feasible}");
    assert_eq!(status["rows_scanned"].as_u64().unwrap() % 100, 0, "{status}");
    assert_eq!(server.get("/api/v2/exports/feasibility?k=11", exporter()).json()["k"], 20);
    assert_eq!(server.get("/api/v2/exports/feasibility?k=4", exporter()).status, 400);
}

#[test]
fn the_events_of_a_job_end_with_its_last_status() {
    let server = start_server();
    load(&server, 600);
    let job = start(&server, &json!({"columns": ["gender"]})).json()["job_id"].as_str().unwrap().to_owned();
    let events = server.get(&format!("/api/v2/exports/{job}/events"), exporter());
    assert_eq!(events.header("content-type"), "text/event-stream");
    let last = events.text().trim_end().rsplit("\n\n").next().unwrap().to_owned();
    let status: Value = serde_json::from_str(last.strip_prefix("event: status\ndata: ").unwrap()).unwrap();
    assert_eq!((&status["state"], &status["job_id"]), (&json!("done"), &json!(job)));
}

#[test]
fn an_export_and_every_look_at_it_are_in_the_audit_log_under_a_signed_head() {
    let server = start_server();
    load(&server, 600);
    let job = start(&server, &json!({"columns": ["gender"]})).json()["job_id"].as_str().unwrap().to_owned();
    let audit = server.data_dir.path().join("audit");
    let heads = std::fs::read_dir(&audit).unwrap().map(|item| item.unwrap().path());
    let heads = heads.into_iter().find(|path| path.to_string_lossy().contains("heads-")).expect("heads");
    let heads = std::fs::read_to_string(heads).unwrap();
    let head: Value = serde_json::from_str(heads.lines().last().expect("a head")).unwrap();
    let listed = server.get("/api/v2/exports", exporter());
    assert_eq!((listed.status, listed.json()["items"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(server.get(&format!("/api/v2/exports/{job}"), exporter()).status, 200);
    assert_eq!(server.get(&format!("/api/v2/exports/{job}/events"), exporter()).status, 200);
    assert_eq!(server.get("/api/v2/exports/feasibility", exporter()).status, 200);
    assert_eq!(download(&server, &job, None).status, 200);
    let entries = entries(&server);
    let of = |action: &str| {
        let entry = entries.iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("no `{action}`"));
        assert_eq!((&entry["category"], &entry["actor"]), (&json!("compliance"), &json!("adm:analyst")));
        assert_eq!(entry["decision"], "allowed");
        entry
    };
    for action in ["export.start", "export.read", "export.watch", "export.download"] {
        assert_eq!(of(action)["job_id"], json!(job), "{action}");
    }
    for action in ["export.list", "export.feasibility"] {
        assert!(of(action).get("job_id").is_none());
    }
    assert!(head["size"].as_u64() >= of("export.start")["seq"].as_u64(), "signed before the export began: {head}");
}
