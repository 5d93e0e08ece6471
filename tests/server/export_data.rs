//! Everything that is held about a citizen, as one document.

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{TestServer, USER, eventually, profile_path, residency, start_server, start_server_with};
use crate::token::Token;

fn path() -> String {
    format!("{}/export-data", profile_path(USER))
}

#[track_caller]
fn export(server: &TestServer) -> Value {
    let answer = server.get(&path(), Token::citizen(USER));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
    answer.json()
}

fn as_admin(server: &TestServer, scopes: &str) -> Response {
    let token = Token::new("admin", "adm:asha", scopes);
    let request = Request::new("GET", path()).bearer(&server.sign(token));
    server.send(request.header("x-access-reason", "a request by post"))
}

/// Follows the revisions of a document, and returns the profile that they lead to.
fn replayed(document: &Value) -> Value {
    let mut profile = Value::Null;
    for revision in document["revisions"].as_array().unwrap() {
        match revision.get("profile") {
            Some(whole) => profile = whole.clone(),
            None => {
                let patch: json_patch::Patch = serde_json::from_value(revision["operations"].clone()).unwrap();
                json_patch::patch(&mut profile, &patch).unwrap();
            }
        }
        assert_eq!(profile["revision"], revision["revision"]);
    }
    profile
}

#[test]
fn a_citizen_receives_everything_that_is_held() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let taken = server.send(
        Request::new("POST", format!("{}/snapshots", profile_path(USER))).bearer(&server.sign(Token::citizen(USER))),
    );
    assert_eq!(taken.status, 201);
    assert_eq!(server.post("metadata", residency(USER, "early", "2026-01-21T13:00:00Z", 9).to_string()).status, 422);
    eventually("the letter is written", || export(&server)["dead_letters"].as_array().unwrap().len() == 1);

    let (document, profile) = (export(&server), server.own_profile(USER).json());
    assert_eq!(document["profile"], profile);
    assert_eq!(replayed(&document), profile, "the revisions lead to the profile");
    let revisions = document["revisions"].as_array().unwrap();
    let numbers: Vec<_> = revisions.iter().map(|revision| revision["revision"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=profile["revision"].as_u64().unwrap()).collect::<Vec<_>>());
    assert!(revisions[0]["profile"].is_object() && revisions[1]["operations"].is_array());
    assert_eq!(revisions[0]["cause"]["kind"], "feed");
    let levels = document["consents"].as_array().unwrap().iter();
    let levels: Vec<_> = levels.map(|consent| consent["consent"]["data_sharing_level"].as_str()).collect();
    assert!(levels.ends_with(&[Some("full"), Some("minimal")]), "{levels:?}");
    assert_eq!(document["snapshots"][0]["trigger"], "manual");
    let letter = &document["dead_letters"][0];
    assert!(letter["event"].as_str().unwrap().contains("residency_years"), "{letter}");
    let actions: Vec<_> =
        document["access_log"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[0], "profile.export_data", "the export itself is recorded before it is sent: {actions:?}");
    assert!(actions.contains(&"consent.update"), "{actions:?}");
    assert_eq!(document["provenance"]["demographics.state"]["source"], "identity");
    let documents = document["source_documents"].as_object().unwrap();
    assert!(documents["analytics"].to_string().contains("aggregated_metrics"), "also what no profile shows");
    assert_eq!((&document["omitted"], &document["user_id"]), (&json!([]), &json!(USER)));
}

#[test]
fn a_long_history_is_written_out_in_its_order() {
    let server = start_server_with("[checkpoint]\ninterval_s = 1\n");
    for number in 0..150 {
        let time = format!("2026-01-20T{:02}:{:02}:00Z", number / 60, number % 60);
        server.apply("metadata", &residency(USER, &format!("e-{number}"), &time, number % 90));
    }
    let document = export(&server);
    assert_eq!(document["revisions"].as_array().unwrap().len(), 150);
    assert_eq!(replayed(&document), server.own_profile(USER).json());
}

#[test]
fn an_administrator_exports_with_a_reason_and_without_the_log_of_the_citizen() {
    let server = start_server();
    server.post_example();
    let answer = as_admin(&server, "profile:read");
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    assert_eq!((&document["omitted"], document.get("access_log")), (&json!(["access_log"]), None));
    assert_eq!(document["profile"]["revision"], server.own_profile(USER).json()["revision"]);
    assert_eq!(as_admin(&server, "operate").status, 404);
    assert_eq!(server.get(&path(), Token::service("profile:read")).status, 403);
    assert_eq!(server.get(&path(), Token::citizen("usr_SomebodyElse01")).status, 404);
    let nobody = "/api/v2/profile/usr_Nobody000001/export-data";
    assert_eq!(server.get(nobody, Token::citizen("usr_Nobody000001")).problem(), "unknown-user");
    let entry = entries(&server).into_iter().find(|entry| {
        entry["action"] == "profile.export_data" && entry["actor"] == "adm:asha" && entry["decision"] == "allowed"
    });
    let entry = entry.unwrap();
    assert_eq!((&entry["category"], &entry["reason"]), (&json!("compliance"), &json!("a request by post")));
    assert!(entry["fields"].as_array().unwrap().len() > 20, "{entry}");
}

#[test]
fn the_schema_of_the_document_is_served() {
    let server = start_server();
    let answer = server.send(Request::new("GET", "/api/v2/schemas/export-data"));
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/schema+json"));
    assert_eq!(answer.json()["$id"], "/api/v2/schemas/export-data");
}
