//! Schema versions: the older one beside the newest, by `Accept` and by parameter, in views, streams and schemas.

use domain::migration::migrate;
use domain::schema_version::SchemaVersion;
use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::live::{changes, seeded};
use crate::live_client::LiveClient;
use crate::standards::open_stream;
use crate::test_server::{TestServer, USER, profile_path};
use crate::token::Token;

const OLDER: &str = "application/vnd.civic.profile+json;version=1.0";
const DEPRECATION: &str = "@1793491200";
const SUNSET: &str = "Mon, 01 Nov 2027 00:00:00 GMT";

fn read(server: &TestServer, token: &Token, query: &str, accept: &str) -> Response {
    let request = Request::new("GET", format!("{}{query}", profile_path(USER)));
    server
        .send(request.bearer(&server.sign(token.clone())).header("accept", accept).header("x-access-reason", "a test"))
}

/// Returns what a document of the newest version says in version 1.0.
fn older(document: &Value) -> Value {
    let document = document.as_object().expect("an object").clone();
    migrate(document, SchemaVersion::V1_0).expect("a known version").into()
}

fn callers() -> Vec<Token> {
    vec![
        Token::citizen(USER),
        Token::service("profile:read"),
        Token::service("profile:read ai_context"),
        Token::new("admin", "adm:root", "profile:read"),
        Token::new("agent", "agt:a", "section:deadlines section:cohort_tags").with("act", json!({"sub": USER})),
    ]
}

#[test]
fn a_caller_that_asks_for_the_older_version_gets_it_and_learns_when_it_ends() {
    let server = seeded();
    for token in callers() {
        let newest = read(&server, &token, "", "*/*");
        assert_eq!(newest.header("content-type"), "application/vnd.civic.profile+json;version=2.0");
        assert!(!newest.headers.contains_key("deprecation") && !newest.headers.contains_key("sunset"));
        for (query, accept) in [("", OLDER), ("?schema_version=1.0", "*/*"), ("?schema_version=1.0", OLDER)] {
            let answer = read(&server, &token, query, accept);
            assert_eq!((answer.status, answer.header("content-type")), (200, OLDER));
            assert_eq!((answer.header("deprecation"), answer.header("sunset")), (DEPRECATION, SUNSET));
            assert_eq!(answer.json(), older(&newest.json()), "{}", token.claims);
            assert_eq!(answer.header("x-profile-revision"), newest.header("x-profile-revision"));
            assert_ne!(answer.header("etag"), newest.header("etag"));
        }
    }
    let own = read(&server, &Token::citizen(USER), "", OLDER).json();
    assert_eq!(own["upcoming_deadlines"][0]["deadline_id"], "dl_itr_2026");
    for name in ["revision", "risk_scores", "predictions", "trust", "cohort_tags", "deadlines"] {
        assert_eq!(own.get(name), None);
    }
    let scheme: Vec<_> = own["eligibility"]["eligible_schemes"][0].as_object().expect("an object").keys().collect();
    assert_eq!(scheme, ["application_status", "scheme_id", "scheme_name"]);
}

#[test]
fn a_tag_is_of_one_version() {
    let server = seeded();
    let token = server.sign(Token::citizen(USER));
    let ask = |method: &'static str, accept: &str, tag: &str| {
        let request = Request::new(method, profile_path(USER)).bearer(&token).header("accept", accept);
        server.send(request.header("if-none-match", tag))
    };
    let (older, newest) = (ask("GET", OLDER, "\"x\""), ask("GET", "*/*", "\"x\""));
    for (accept, own, other) in [(OLDER, &older, &newest), ("*/*", &newest, &older)] {
        let same = ask("GET", accept, own.header("etag"));
        assert_eq!((same.status, same.header("etag")), (304, own.header("etag")));
        assert_eq!(same.headers.get("sunset"), own.headers.get("sunset"));
        assert_eq!(ask("GET", accept, other.header("etag")).status, 200);
        let head = ask("HEAD", accept, "\"x\"");
        assert_eq!((head.status, head.body.len()), (200, 0));
        for name in ["etag", "content-type", "content-length"] {
            assert_eq!(head.header(name), own.header(name));
        }
        assert_eq!(head.headers.get("deprecation"), own.headers.get("deprecation"));
    }
}

#[test]
fn names_in_fields_are_those_of_the_version_and_others_are_like_unknown_ones() {
    let server = seeded();
    let ask = |token: &Token, fields: &str| read(&server, token, &format!("?fields={fields}"), OLDER);
    let service = Token::service("profile:read");
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let sparse = ask(&service, "upcoming_deadlines,eligibility.total_eligible").json();
    assert_eq!(sparse["_meta"]["fields_included"], json!(["eligibility.total_eligible", "upcoming_deadlines"]));
    assert!(sparse["upcoming_deadlines"].is_array() && sparse["eligibility"].as_object().unwrap().len() == 1);
    // Of the newer version, hidden from the caller, absent, and unknown.
    let unknown = ask(&service, "nonsense");
    for names in ["risk_scores", "deadlines", "deadlines.upcoming", "cohort_tags", "family.dependents", "revision"] {
        let answer = ask(&service, names);
        assert_eq!((&answer.body, answer.header("etag")), (&unknown.body, unknown.header("etag")), "{names}");
    }
}

#[tokio::test]
async fn a_subscription_in_the_older_version_holds_what_a_read_in_it_gives() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let mut clients = Vec::new();
    for token in callers() {
        let mut client = LiveClient::open(&server, token.clone()).await;
        client.subscribe_in("1.0", &[USER], None).await;
        assert_eq!(client.next().await["type"], "profile");
        clients.push((client, token));
    }
    for (source, event) in &changes(14) {
        server.apply(source, event);
        let revision = server.own_profile(USER).json()["revision"].clone();
        for (client, token) in &mut clients {
            client.reach(USER, &revision).await;
            assert_eq!(client.held[USER], read(&server, token, "", OLDER).json(), "{} after {event}", token.claims);
        }
    }
    for (client, token) in clients {
        // The cursor is of its version: another one begins anew.
        let mut client = client.reconnect(&server, token).await;
        assert_eq!(client.next().await["reset"], true);
        assert_eq!(client.held[USER]["schema_version"], "2.0");
    }
}

#[test]
fn a_difference_in_the_older_version_leads_from_one_view_in_it_to_the_other() {
    let server = seeded();
    let token = Token::citizen(USER);
    let before = read(&server, &token, "", OLDER);
    for (source, event) in &changes(14) {
        server.apply(source, event);
    }
    let (mut held, since) = (before.json(), before.header("x-profile-revision").to_owned());
    let old = read(&server, &token, &format!("?revision={since}"), OLDER);
    assert_eq!((old.header("content-type"), old.json()), (OLDER, held.clone()));
    let delta = server.get(&format!("{}/delta?since={since}&schema_version=1.0", profile_path(USER)), token.clone());
    assert_eq!((delta.status, delta.header("sunset"), &delta.json()["schema_version"]), (200, SUNSET, &json!("1.0")));
    let operations: json_patch::Patch = serde_json::from_value(delta.json()["operations"].clone()).unwrap();
    json_patch::patch(&mut held, &operations).unwrap();
    assert_eq!(held, read(&server, &token, "", OLDER).json());
}

#[test]
fn a_stream_says_when_its_version_ends() {
    let server = seeded();
    let token = server.sign(Token::citizen(USER));
    let ask = |query: &str| {
        open_stream(&server, &Request::new("GET", format!("{}/events{query}", profile_path(USER))).bearer(&token))
    };
    let answer = ask("?schema_version=1.0");
    assert_eq!((answer.status, answer.header("deprecation"), answer.header("sunset")), (200, DEPRECATION, SUNSET));
    assert!(!ask("").headers.contains_key("deprecation"));
}

#[test]
fn every_version_has_its_schema() {
    let server = seeded();
    let list = server.send(Request::new("GET", "/api/v2/schemas")).json();
    assert_eq!(list["items"][0], json!({"version": "2.0", "href": "/api/v2/schemas/2.0"}));
    let older = json!({
        "version": "1.0", "href": "/api/v2/schemas/1.0",
        "deprecated_since": "2026-11-01T00:00:00Z", "sunset": "2027-11-01T00:00:00Z",
    });
    assert_eq!((list["items"].as_array().map(Vec::len), &list["items"][1]), (Some(2), &older));
    for item in list["items"].as_array().unwrap() {
        let (version, href) = (item["version"].as_str().unwrap(), item["href"].as_str().unwrap());
        let schema = server.send(Request::new("GET", href));
        assert_eq!((schema.status, schema.header("content-type")), (200, "application/schema+json"));
        assert_eq!(schema.headers.contains_key("sunset"), item.get("sunset").is_some());
        assert_eq!(schema.json()["$id"], format!("urn:civic-profile:schema:{version}"));
        assert_eq!(server.send(Request::new("HEAD", href)).status, 200);
    }
    assert_eq!(server.send(Request::new("GET", "/api/v2/schemas/3.0")).status, 404);
}
