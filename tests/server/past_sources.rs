//! Where the values of an earlier revision came from: `include=provenance` with `revision` or `as_of`.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::erasure::{delete, fresh};
use crate::http::Response;
use crate::test_server::{TestServer, USER, profile_path, residency, start_at};
use crate::token::Token;

/// When the first revisions are made, and when the server starts again.
const FIRST: &str = "2026-01-20T12:00:00Z";
const LATER: &str = "2026-01-21T12:00:00Z";
const STATE: &str = "demographics.state";

fn event(source: &str, kind: &str, id: &str, time: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": format!("/engines/{source}"), "type": kind, "subject": USER, "time": time,
        "data": data,
    })
}

/// Returns an event by which the metadata engine confirms the state.
fn state(id: &str, time: &str) -> Value {
    let fields = json!({"demographics": {"state": "karnataka"}});
    event("metadata", "user.metadata.updated", id, time, json!({ "fields": fields }))
}

fn verified(id: &str, time: &str, data: Value) -> Value {
    let mut data = data;
    data["identity"] =
        json!({"display_name": "Asha K.", "age_bracket": "30-40", "gender": "female", "category": "obc"});
    event("identity", "identity.verified", id, time, data)
}

fn own(server: &TestServer, tail: &str) -> Response {
    server.get(&format!("{}{tail}", profile_path(USER)), Token::citizen(USER))
}

fn revision(server: &TestServer) -> u64 {
    server.own_profile(USER).json()["revision"].as_u64().unwrap()
}

/// Returns `_provenance`, and checks that the rest is what the same read without it has.
#[track_caller]
fn sources(server: &TestServer, point: &str) -> Value {
    let answer = own(server, &format!("?include=provenance&{point}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.headers.contains_key("etag") && answer.headers.contains_key("x-profile-revision"), "{answer:?}");
    let mut view = answer.json();
    let sources = view.as_object_mut().unwrap().remove("_provenance").unwrap();
    assert_eq!(view, own(server, &format!("?{point}")).json());
    sources
}

#[track_caller]
fn refused(answer: &Response, status: u16, problem: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{answer:?}");
}

/// A citizen whose state was said and confirmed by one engine, and then verified by another.
struct ConfirmedRevisions {
    server: TestServer,
    /// The revisions that the first engine's event, the second's, and a third event made.
    revisions: [u64; 3],
    /// What was read of each when it was made.
    then: [Value; 3],
}

/// Reads what has just been made.
fn just_made(server: &TestServer) -> (u64, Value) {
    (revision(server), sources(server, ""))
}

fn confirmed_revisions() -> ConfirmedRevisions {
    let server = start_at(TempDir::new().unwrap(), FIRST);
    server.apply("metadata", &state("said", "2026-01-10T06:00:00Z"));
    let (first, said) = just_made(&server);
    // The same value again, a second later: no revision, but another event.
    assert_eq!(server.post("metadata", state("confirmed", "2026-01-10T06:00:01Z").to_string()).status, 200);
    assert_eq!(revision(&server), first, "nothing but the source changes");
    assert_eq!(sources(&server, "")[STATE]["event_id"], "confirmed");
    let address = json!({"address": {"state": "karnataka"}});
    server.apply("identity", &verified("verified", "2026-01-10T06:00:02Z", address));
    let (second, verified) = just_made(&server);
    server.apply("metadata", &residency(USER, "years", "2026-01-10T06:00:03Z", 12));
    let (third, years) = just_made(&server);
    assert!(first < second && second < third);
    let again = state("confirmed-again", "2026-01-10T06:00:04Z");
    assert_eq!(server.post("metadata", again.to_string()).status, 200);
    assert_eq!(revision(&server), third);
    ConfirmedRevisions { server, revisions: [first, second, third], then: [said, verified, years] }
}

#[test]
fn a_revision_keeps_the_sources_that_it_was_made_with_over_stops_and_kills() {
    let ConfirmedRevisions { mut server, revisions, then } = confirmed_revisions();
    let [first, second, third] = revisions;
    assert_eq!((&then[0][STATE]["event_id"], &then[0][STATE]["overrides"]), (&json!("said"), &json!(0)));
    assert_eq!((&then[1][STATE]["source"], &then[1][STATE]["overrides"]), (&json!("identity"), &json!(1)));
    for end in ["stop", "kill", "none"] {
        for (revision, then) in revisions.iter().zip(&then) {
            assert_eq!(sources(&server, &format!("revision={revision}")), *then, "revision {revision}");
        }
        // All of them were made in one instant, so that it has the last.
        assert_eq!(sources(&server, &format!("as_of={FIRST}")), then[2]);
        // Without a point it is the sources of now, although the revision is the same.
        assert_eq!(sources(&server, "")[STATE]["event_id"], "confirmed-again");
        refused(&own(&server, &format!("?include=provenance&revision={}", third + 1)), 404, "unknown-revision");
        refused(&own(&server, "?include=provenance&revision=0"), 404, "unknown-revision");
        refused(&own(&server, "?include=provenance&as_of=2026-01-20T11:59:59Z"), 404, "unknown-revision");
        refused(&own(&server, "?include=provenance&as_of=2036-01-20T11:59:59Z"), 400, "invalid-parameter");
        refused(&own(&server, "?include=provenance&revision=x"), 400, "invalid-parameter");
        refused(&own(&server, "?include=history&revision=1"), 400, "invalid-parameter");
        if end != "none" {
            let dir = if end == "stop" { server.terminate().1 } else { server.kill() };
            server = start_at(dir, FIRST);
        }
    }
    // Later revisions leave them as they were.
    let server = start_at(server.kill(), LATER);
    server.apply("metadata", &residency(USER, "more-years", "2026-01-20T06:00:00Z", 13));
    for (revision, then) in revisions.iter().zip(&then) {
        assert_eq!(sources(&server, &format!("revision={revision}")), *then, "revision {revision}");
    }
    assert_eq!(sources(&server, "as_of=2026-01-21T11:59:59.999999Z"), then[2]);
    let sparse = own(&server, &format!("?include=provenance&revision={second}&fields=demographics")).json();
    assert_eq!(sparse["_provenance"], json!({ STATE: then[1][STATE] }));
    let old = own(&server, &format!("?include=provenance&revision={first}&schema_version=1.0")).json();
    assert_eq!((&old["schema_version"], &old["_provenance"][STATE]), (&json!("1.0"), &then[0][STATE]));
}

#[test]
fn the_sources_of_then_are_shown_under_the_mask_of_now_and_leave_their_entry() {
    let ConfirmedRevisions { server, revisions: [_, second, _], then } = confirmed_revisions();
    let path = format!("{}?include=provenance&revision={second}", profile_path(USER));
    let service = || server.get(&path, Token::service("profile:read"));
    let paths = |answer: Response| -> Vec<String> {
        let view = answer.json();
        view["_provenance"].as_object().unwrap().keys().cloned().collect()
    };
    let minimal = service().json();
    assert_eq!(
        minimal["_provenance"],
        json!({ STATE: then[1][STATE], "identity.age_bracket": then[1]["identity.age_bracket"] })
    );
    server.consent(USER, &json!({"data_sharing_level": "standard"}));
    let shared = paths(service());
    assert_eq!(shared, [STATE, "identity.age_bracket", "identity.category", "identity.gender"]);
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    assert_eq!(service().json()["_provenance"], minimal["_provenance"], "withdrawn for the past, too");
    refused(&server.get(&path, Token::citizen("usr_SomebodyElse01")), 404, "unknown-user");
    refused(&server.get(&path, Token::service("profile:read third_party")), 404, "unknown-user");

    let entries = crate::route_table::entries(&server);
    let reads = entries.iter().filter(|entry| entry["action"] == "profile.past.read");
    let services: Vec<_> =
        reads.filter(|entry| entry["actor"] == "svc:test" && entry["decision"] == "allowed").collect();
    assert_eq!(services.len(), 3, "{services:?}");
    let is_whole = |entry: &&&Value| entry["category"] == "compliance" && entry["revision"] == json!(second);
    assert_eq!(services.iter().filter(is_whole).count(), 3, "{services:?}");
}

#[test]
fn the_sources_of_an_erased_generation_are_gone() {
    let ConfirmedRevisions { server, revisions: [first, ..], .. } = confirmed_revisions();
    let tail = format!("?include=provenance&revision={first}");
    assert_eq!(delete(&server, &profile_path(USER), fresh(Token::citizen(USER))).status, 200);
    refused(&own(&server, &tail), 410, "erased");
    let again = json!({"registration": true, "address": {"state": "kerala"}});
    server.apply("identity", &verified("again", "2026-01-20T12:01:00Z", again));
    refused(&own(&server, &tail), 404, "unknown-revision");
    refused(&own(&server, "?include=provenance&as_of=2026-01-20T11:59:59Z"), 404, "unknown-revision");
    let newest = revision(&server);
    assert_eq!(sources(&server, &format!("revision={newest}"))[STATE]["event_id"], "again");
}
