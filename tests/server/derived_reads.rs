//! What is derived from profiles: simulations, batches of reads, and summaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{TestServer, USER, eventually, profile_path, residency, start_server, start_server_with};
use crate::token::Token;

const UNKNOWN: &str = "usr_SomebodyElse01";
const BATCH: &str = "/api/v2/profiles/batch-get";

fn served() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

fn admin() -> Token {
    Token::new("admin", "adm:a", "profile:read")
}

fn simulate(server: &TestServer, token: Token, events: &Value) -> Response {
    let request = Request::new("POST", format!("{}/simulate", profile_path(USER))).bearer(&server.sign(token));
    let request = request.header("x-access-reason", "a test");
    server.send(request.body("application/cloudevents-batch+json", events.to_string()))
}

fn batch(server: &TestServer, token: Token, query: &str, ids: &[&str]) -> Response {
    let request = Request::new("POST", format!("{BATCH}{query}")).bearer(&server.sign(token));
    let request = request.header("x-access-reason", "a test");
    server.send(request.body("application/json", json!({ "user_ids": ids }).to_string()))
}

/// Returns the files of a directory by name, without those that change although nobody writes: logs, and locks.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.ends_with(".log") {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_simulation_says_what_the_events_would_do_and_stores_nothing() {
    // No checkpoint runs, so that only the simulation could write.
    let server = start_server_with("checkpoint.interval_s = 3600");
    server.post_example();
    let before = server.own_profile(USER);
    let event = residency(USER, "what-if", "2026-01-20T00:00:00Z", 44);
    let stored = files(server.data_dir.path());
    let answer = simulate(&server, Token::citizen(USER), &json!([event]));
    assert_eq!(answer.status, 200, "{answer:?}");
    let simulated = answer.json();
    assert_eq!(simulated["base_revision"], before.json()["revision"]);
    assert_eq!(simulated["profile"]["demographics"]["residency_years"], 44);
    let mut patched = before.json();
    let patch: json_patch::Patch = serde_json::from_value(simulated["operations"].clone()).unwrap();
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched, simulated["profile"]);
    assert!(files(server.data_dir.path()) == stored, "the data directory stays as it was");
    let after = server.own_profile(USER);
    assert_eq!((&after.body, after.header("etag")), (&before.body, before.header("etag")));
    // The real event does what was foretold.
    server.apply("metadata", &event);
    let (real, supposed) = (server.own_profile(USER).json(), &simulated["profile"]);
    for member in ["demographics", "eligibility", "profile_completeness_pct", "trust"] {
        assert_eq!(real[member], supposed[member], "{member}");
    }
}

#[test]
fn a_simulation_is_masked_by_the_real_consent() {
    let server = served();
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let consent = json!({
        "specversion": "1.0", "id": "c", "source": "/engines/consent", "type": "user.consent.updated", "subject": USER,
        "time": "2026-01-21T11:59:00Z", "data": {"data_sharing_level": "full", "third_party_sharing": true},
    });
    let service = || Token::service("profile:read simulate");
    let seen = server.get(&profile_path(USER), service()).json();
    let simulated = simulate(&server, service(), &json!([consent])).json();
    let names = |profile: &Value| profile.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&simulated["profile"]), names(&seen), "a supposed consent opens nothing");

    // Whether a guess of a hidden value is right makes no difference.
    let guess = |bracket: &str| {
        let event = json!({
            "specversion": "1.0", "id": "g", "source": "/engines/metadata", "type": "user.metadata.updated",
            "subject": USER, "time": "2026-01-21T11:59:00Z", "data": {"fields": {"economic": {"income_bracket": bracket}}},
        });
        simulate(&server, service(), &json!([event])).body
    };
    assert_eq!(guess("5L-10L"), guess("20L+"));
    let third_party = simulate(&server, Token::service("profile:read simulate third_party"), &json!([consent]));
    assert_eq!((third_party.status, third_party.problem().as_str()), (404, "unknown-user"));
}

#[test]
fn a_faulty_simulation_says_where_the_fault_is() {
    let server = served();
    let good = residency(USER, "e1", "2026-01-20T00:00:00Z", 7);
    let other = residency(UNKNOWN, "e1", "2026-01-20T00:00:00Z", 7);
    let wrong = residency(USER, "e1", "2026-01-20T00:00:00Z", 700);
    let mut unknown = good.clone();
    unknown["type"] = json!("user.unknown");
    for (event, pointer) in [
        (other, "/1/subject"),
        (wrong, "/1/data/fields/demographics/residency_years"),
        (unknown, "/1/type"),
        (json!(7), "/1"),
    ] {
        let answer = simulate(&server, Token::citizen(USER), &json!([good, event]));
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(
            answer.json()["errors"].as_array().unwrap().iter().any(|error| error["pointer"] == pointer),
            "{answer:?}"
        );
    }
    let many = json!(vec![good.clone(); 101]);
    for (events, status) in [(json!({}), 422), (json!([]), 422), (many, 422), (json!("x".repeat(300_000)), 413)] {
        assert_eq!(simulate(&server, Token::citizen(USER), &events).status, status);
    }
}

#[test]
fn a_batch_has_a_line_for_each_id_as_its_own_read_would_be() {
    let server = served();
    server.apply("metadata", &residency("usr_Hidden000001", "e1", "2026-01-20T00:00:00Z", 7));
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let ids = [USER, UNKNOWN, "nonsense", "usr_Hidden000001", USER];
    for token in
        [Token::service("profile:read third_party"), Token::service("profile:read"), admin(), Token::citizen(USER)]
    {
        for query in ["", "?fields=eligibility,demographics.state,unknown"] {
            let answer = batch(&server, token.clone(), query, &ids);
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{answer:?}");
            let lines = answer.lines();
            assert_eq!(lines.len(), ids.len());
            for (line, id) in lines.iter().zip(ids) {
                let request = Request::new("GET", profile_path(id) + query).bearer(&server.sign(token.clone()));
                let own = server.send(request.header("x-access-reason", "a test"));
                assert_eq!((&line["user_id"], &line["status"]), (&json!(id), &json!(own.status)), "{line}");
                if own.status == 200 {
                    let mut profile = own.json();
                    if profile["_meta"].get("cache_hit").is_some() {
                        profile["_meta"]["cache_hit"] = line["profile"]["_meta"]["cache_hit"].clone();
                    }
                    assert_eq!((&line["profile"], &line["etag"]), (&profile, &json!(own.header("etag"))));
                } else {
                    assert_eq!(line["problem"]["type"], own.json()["type"], "{line}");
                    assert_eq!(line["problem"]["detail"], own.json()["detail"], "{line}");
                }
            }
        }
    }
    for (body, status) in [
        ("{", 400),
        ("[]", 422),
        ("[[\"usr_7Qm2Xr9TzKpA\"]]", 422),
        ("{\"user_ids\":[7]}", 422),
        ("{\"user_ids\":[],\"x\":1}", 422),
    ] {
        let request = Request::new("POST", BATCH).bearer(&server.sign(Token::service("profile:read")));
        assert_eq!(server.send(request.body("application/json", body)).status, status, "{body}");
    }
    let many = vec![USER; 1_001];
    assert_eq!(batch(&server, Token::service("profile:read"), "", &many).status, 422);
    assert_eq!(batch(&server, Token::service("profile:read"), "", &many[..1_000]).lines().len(), 1_000);
}

#[test]
fn each_read_of_a_batch_is_counted_and_recorded() {
    let server = served();
    let answer = batch(&server, admin(), "", &[USER, UNKNOWN]);
    assert_eq!(answer.status, 200);
    let request = Request::new("POST", BATCH).bearer(&server.sign(admin()));
    let without_reason = server.send(request.body("application/json", json!({ "user_ids": [USER] }).to_string()));
    assert_eq!(without_reason.problem(), "access-reason-missing");
    let found: Vec<_> = entries(&server).into_iter().filter(|entry| entry["action"] == "profile.read").collect();
    let decisions: Vec<_> = found.iter().filter(|entry| entry["category"] == "compliance").collect();
    let mut told: Vec<_> = decisions.iter().map(|entry| entry["decision"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["allowed", "denied"], "{found:?}");
    assert!(decisions.iter().all(|entry| entry["reason"] == "a test" && entry["subject"].is_string()), "{found:?}");

    // What another service has read is in the cache, and counted all the same.
    let other = || Token::new("service", "svc:other", "profile:read");
    assert_eq!(server.get(&profile_path(USER), Token::service("profile:read")).status, 200);
    assert_eq!(batch(&server, other(), "", &[USER]).status, 200);
    eventually("the entry of a service", || {
        let of_other = |entry: &Value| entry["actor"] == "svc:other" && entry["action"] == "profile.read";
        entries(&server).iter().any(|entry| of_other(entry) && entry["subject"].is_string())
    });

    // A citizen has 100 reads a minute.
    fs::write(server.data_dir.path().join("limits.toml"), include_str!("../../config/limits.toml")).unwrap();
    let server = crate::test_server::start_on(server.kill());
    let ids = vec![USER; 60];
    let first = batch(&server, Token::citizen(USER), "", &ids);
    assert_eq!(first.header("ratelimit"), "\"read\";r=40", "{first:?}");
    let second = batch(&server, Token::citizen(USER), "", &ids);
    assert_eq!((second.status, second.problem().as_str()), (429, "rate-limit-exceeded"));
}

#[test]
fn a_summary_says_what_the_caller_may_see_in_the_language_that_it_prefers() {
    let server = served();
    let read = |token: Token, language: &str| {
        let request = Request::new("GET", format!("{}/summary", profile_path(USER))).bearer(&server.sign(token));
        server.send(request.header("accept-language", language))
    };
    let english = read(Token::citizen(USER), "en-GB");
    assert_eq!((english.status, english.header("content-language")), (200, "en"), "{english:?}");
    let own = server.own_profile(USER).json();
    let summary = english.json();
    assert_eq!((&summary["based_on_revision"], &summary["generated_at"]), (&own["revision"], &own["generated_at"]));
    assert_eq!((&summary["generator"], &summary["language"]), (&json!("template"), &json!("en")));
    let text = summary["text"].as_str().unwrap();
    assert!(text.contains("2 eligible schemes") && text.contains("100 % complete"), "{text}");
    assert!(!text.contains("Rajesh"), "{text}");
    let hindi = read(Token::citizen(USER), "hi, en;q=0.5").json();
    assert!(hindi["text"].as_str().unwrap().contains("2 योजनाओं"), "{hindi}");
    // A service sees neither deadlines nor risks here.
    let service = read(Token::service("profile:read"), "").json();
    let text = service["text"].as_str().unwrap();
    assert!(!text.contains("due on") && !text.contains("risk"), "{text}");
    let unknown = server.get(&format!("{}/summary", profile_path(UNKNOWN)), Token::service("profile:read"));
    assert_eq!(unknown.problem(), "unknown-user");
}
