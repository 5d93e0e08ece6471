//! Bad input to the feeds: each kind is answered with its specific problem and changes nothing.

use serde_json::{Value, json};

use crate::http::Request;
use crate::test_server::{TestServer, USER, residency, start_server};
use crate::token::Token;

const MIB: usize = 1 << 20;

/// Returns a valid event after `change`.
fn event(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event = residency(USER, "bad-1", "2026-01-20T00:00:00Z", 9);
    change(&mut event);
    event.to_string().into()
}

/// Returns the text of a valid event in which `from` is replaced.
fn text(from: &str, to: &str) -> Vec<u8> {
    let good = String::from_utf8(event(|_| {})).unwrap();
    assert!(good.contains(from), "{good}");
    good.replacen(from, to, 1).into()
}

/// Returns a valid event of `length` bytes.
fn padded(length: usize) -> Vec<u8> {
    let bare = event(|event| event["padding"] = "".into()).len();
    event(|event| event["padding"] = "x".repeat(length - bare).into())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Bodies for the feed `metadata`, each with the expected status and problem.
fn cases() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let fields = |value: Value| event(|event| event["data"]["fields"] = value);
    vec![
        ("nothing", b"".to_vec(), 400, "malformed-json"),
        ("half an event", event(|_| {})[..80].to_vec(), 400, "malformed-json"),
        ("something after the event", [event(|_| {}), b"}".to_vec()].concat(), 400, "malformed-json"),
        ("an array", b"[]".to_vec(), 422, "wrong-type"),
        ("a number that is not JSON", text(":9", ":NaN"), 400, "malformed-json"),
        ("bad UTF-8", [b"{\"specversion\":\"\xff".to_vec(), text("{\"", "")].concat(), 400, "invalid-utf8"),
        ("a duplicate member", text("\"id\":", "\"id\":\"a\",\"id\":"), 422, "duplicate-member"),
        ("an escaped duplicate", text("\"id\":", "\"\\u0069d\":\"a\",\"id\":"), 422, "duplicate-member"),
        ("depth 65", text(":9", &format!(":{}", nested(61))), 400, "too-deep"),
        ("an integer above 2^53", text(":9", ":9007199254740993"), 422, "number-too-large"),
        ("a huge number", text(":9", ":1e400"), 422, "number-too-large"),
        ("a huge number in an extension", text("\"id\":", "\"extension\":123e65,\"id\":"), 422, "number-too-large"),
        ("a duplicate before a fault", text("\"id\":", "\"id\":\"a\",\"id\":x"), 400, "malformed-json"),
        ("one byte over 1 MiB", padded(MIB + 1), 413, "too-large"),
        ("no id", event(|event| drop(event.as_object_mut().unwrap().remove("id"))), 422, "missing-member"),
        ("another specversion", text("1.0", "0.3"), 422, "unsupported-specversion"),
        ("an unknown type", text("user.metadata.updated", "user.metadata.created"), 422, "unknown-type"),
        ("a type of another source", text("user.metadata.updated", "user.consent.updated"), 422, "wrong-source"),
        ("another source", text("/engines/metadata", "/engines/identity"), 422, "source-mismatch"),
        ("no user's subject", text(USER, "usr_short"), 422, "invalid-subject"),
        ("a service as the subject", text(USER, "svc:metadata"), 422, "invalid-subject"),
        ("a time that is none", text("2026-01-20T00:00:00Z", "yesterday"), 422, "invalid-time"),
        ("a time over five minutes ahead", text("2026-01-20T00:00:00Z", "2026-01-21T12:05:01Z"), 422, "time-in-future"),
        ("an ancient time", text("2026-01-20T00:00:00Z", "1999-12-31T23:59:59Z"), 422, "time-too-old"),
        ("a kind that is none", event(|event| event["kind"] = "certain".into()), 422, "unknown-value"),
        ("an unknown member", fields(json!({"demographics": {"planet": "earth"}})), 422, "unknown-member"),
        ("an unknown section", fields(json!({"health": {}})), 422, "unknown-member"),
        ("a section of another owner", fields(json!({"identity": {"gender": "male"}})), 422, "not-owner"),
        ("a wrong type", fields(json!({"demographics": {"residency_years": "9"}})), 422, "wrong-type"),
        ("a fraction for an integer", fields(json!({"demographics": {"residency_years": 9.5}})), 422, "wrong-type"),
        ("out of range", fields(json!({"demographics": {"residency_years": 121}})), 422, "out-of-range"),
        ("an unknown word", fields(json!({"family": {"marital_status": "engaged"}})), 422, "unknown-value"),
        ("a malformed pincode", fields(json!({"demographics": {"pincode": "012345"}})), 422, "invalid-format"),
        ("nothing said", fields(json!({})), 422, "nothing-said"),
    ]
}

fn seeded() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

#[test]
fn each_gets_its_own_problem_and_changes_nothing() {
    let server = seeded();
    let before = server.own_profile(USER);
    for (case, body, status, problem) in cases() {
        let answer = server.post("metadata", body);
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{case}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        assert!(status != 422 || errors[0]["pointer"].is_string(), "{case}: a 422 says where: {errors}");
    }
    let after = server.own_profile(USER);
    assert_eq!((after.text(), after.header("etag")), (before.text(), before.header("etag")));
    let rejected = server.metric("profile_feed_events_total{source=\"metadata\",status=\"rejected\"}");
    assert_eq!(rejected, cases().len() as f64, "each is counted, the too large one with them");
}

#[test]
fn limits_are_exact() {
    let server = seeded();
    let deep = text("\"data\":", &format!("\"extension\":{},\"data\":", nested(63)));
    for (case, body) in [("1 MiB", padded(MIB)), ("depth 64", deep)] {
        assert_eq!(server.post("metadata", body).status, 200, "{case}");
    }
    let ahead = residency(USER, "ahead", "2026-01-21T12:05:00Z", 3).to_string();
    assert_eq!(server.post("metadata", ahead).status, 200, "five minutes ahead");
}

#[test]
fn a_claimed_kind_must_be_the_sources_own() {
    let server = seeded();
    let consent = json!({
        "specversion": "1.0", "id": "c", "source": "consent", "type": "user.consent.updated", "subject": USER,
        "time": "2026-01-20T00:00:00Z", "kind": "verified", "data": {"data_sharing_level": "full"},
    });
    let answer = server.post("consent", consent.to_string());
    assert_eq!((answer.status, answer.problem().as_str()), (422, "kind-not-allowed"));
}

#[test]
fn one_bad_event_never_fails_its_neighbours() {
    let server = seeded();
    let good = |number: u32| residency(USER, &format!("ok-{number}"), "2026-01-20T00:00:00Z", number).to_string();
    // A batch excludes the cases that break the array itself or exceed the size of one event.
    let fit = |case: &str| {
        ![
            "nothing",
            "half an event",
            "something after the event",
            "a number that is not JSON",
            "bad UTF-8",
            "a duplicate before a fault",
        ]
        .contains(&case)
    };
    let cases: Vec<_> = cases().into_iter().filter(|(case, ..)| fit(case)).collect();
    let mut events = vec![good(1)];
    events.extend(cases.iter().map(|(_, body, ..)| String::from_utf8(body.clone()).unwrap()));
    events.push(good(2));
    for (form, body) in [
        ("application/cloudevents-batch+json", format!("[{}]", events.join(","))),
        ("application/x-ndjson", events.join("\n")),
    ] {
        let answer = server.post_as("metadata", form, body);
        assert_eq!(answer.status, 200, "{form}");
        let (tally, mut results) = match form {
            "application/x-ndjson" => (answer.lines().pop().unwrap(), answer.lines()),
            _ => (answer.json(), answer.json()["results"].as_array().unwrap().clone()),
        };
        results.retain(|result| result["status"] == "rejected");
        assert_eq!(tally["rejected"], cases.len(), "{form}: {tally}");
        let accepted = ["applied", "unchanged", "duplicates"].map(|name| tally[name].as_u64().unwrap());
        assert_eq!(accepted.iter().sum::<u64>(), 2, "{form}: {tally}");
        for ((case, _, _, problem), result) in cases.iter().zip(&results) {
            let found = result["problem"]["type"].as_str().unwrap();
            let expected = if *problem == "too-large" { "event-too-large" } else { problem };
            assert_eq!(found, format!("/problems/{expected}"), "{case} in {form}");
        }
    }
}

#[test]
fn a_wholly_malformed_body_is_refused_whole() {
    let server = seeded();
    for body in ["", "{}", "[1", "[{\"a\":\"\\x\"}]", "7"] {
        let answer = server.post_as("metadata", "application/cloudevents-batch+json", body);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-body"), "`{body}`");
    }
    let empty = server.post_as("metadata", "application/cloudevents-batch+json", "[]");
    assert_eq!((empty.status, &empty.json()["results"]), (200, &json!([])));
    let lines = server.post_as("metadata", "application/x-ndjson", "\n\r\n  \n");
    assert_eq!(
        lines.lines(),
        [json!({"total": 0, "applied": 0, "unchanged": 0, "duplicates": 0, "busy": 0, "rejected": 0})]
    );
}

#[test]
fn a_body_of_another_type_or_size_is_refused() {
    let server = crate::test_server::start_server_with("[http]\nmax_event_bytes = 50_000\nmax_body_bytes = 100_000");
    for form in ["application/json", "text/plain", ""] {
        let answer = server.post_as("metadata", form, "{}");
        assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported-media-type"), "{form}");
    }
    let answer = server.post_as("metadata", "application/cloudevents-batch+json", vec![b' '; 100_001]);
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
}

#[test]
fn bad_consents_change_nothing() {
    let server = seeded();
    let before = server.own_profile(USER);
    let path = format!("/api/v2/profile/{USER}/consent");
    for (body, status, problem) in [
        ("", 400, "malformed-json"),
        ("[]", 422, "wrong-type"),
        ("{}", 422, "nothing-said"),
        (r#"{"data_sharing_level":"everything"}"#, 422, "unknown-value"),
        (r#"{"analytics_opt_in":"yes"}"#, 422, "wrong-type"),
        (r#"{"marketing":true}"#, 422, "unknown-member"),
        (r#"{"consent_updated_at":"2026-01-01T00:00:00Z"}"#, 422, "derived-member"),
        (r#"{"analytics_opt_in":true,"analytics_opt_in":false}"#, 422, "duplicate-member"),
    ] {
        let request = Request::new("PUT", &path).bearer(&server.sign(Token::citizen(USER)));
        let answer = server.send(request.body("application/json", body));
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{body}: {}", answer.text());
    }
    let request = Request::new("PUT", &path).bearer(&server.sign(Token::citizen(USER)));
    assert_eq!(server.send(request.body("text/plain", "{}")).status, 415);
    assert_eq!(server.own_profile(USER).text(), before.text());
}

#[test]
fn no_answer_and_no_log_line_repeats_what_was_sent() {
    let server = crate::test_server::start_server_with("[log]\nlevel = \"trace\"\nformat = \"json\"");
    let secret = "2341 2341 2346";
    let body = event(|event| event["data"]["fields"] = json!({"demographics": {"district": secret, secret: 1}}));
    let answer = server.post("metadata", body);
    // A part of it may be in the id of the request by chance.
    assert_eq!((answer.status, answer.text().contains("2341 2341")), (422, false), "{}", answer.text());
    server.get(&format!("/api/v2/profile/{USER}"), Token::citizen(USER));
    let log = server.log();
    assert!(log.contains("answered") && log.contains("user:"), "the log holds something: {log}");
    for leak in ["2341 2341", USER, "eyJ"] {
        assert!(!log.contains(leak), "`{leak}` in {log}");
    }
    assert!(server.metric("profile_redactions_total{kind=\"user_id\"}") > 0.0);
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {line}");
    }
}
