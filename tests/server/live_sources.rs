//! Patches that name the sources of values: `include` of a subscription.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Request;
use crate::live::{changes, seeded};
use crate::live_client::LiveClient;
use crate::sse::Stream;
use crate::test_server::{TestServer, USER, profile_path, start_on};
use crate::token::Token;

/// Subscribes with the sources of values.
async fn open(server: &TestServer, token: &Token, version: &str) -> LiveClient {
    let mut client = LiveClient::open(server, token.clone()).await;
    let users = json!([{"user_id": USER}]);
    let message =
        json!({"type": "subscribe", "id": "7", "users": users, "schema_version": version, "include": ["provenance"]});
    client.send(&message).await;
    client
}

/// Returns what the provenance of the newest revision says, by path.
fn provenance(server: &TestServer, token: &Token, version: &str) -> Value {
    let path = format!("{}?include=provenance&schema_version={version}", profile_path(USER));
    let request = Request::new("GET", path).bearer(&server.sign(token.clone())).header("x-access-reason", "a test");
    server.send(request).json()["_provenance"].clone()
}

/// Checks the sources that the operations of a patch name. Returns how many it names.
fn check(patch: &Value, provenance: &Value) -> usize {
    let operations = patch["operations"].as_array().unwrap();
    let named = operations.iter().filter(|operation| {
        let path = operation["path"].as_str().unwrap()[1..].replace('/', ".");
        // What is within a list has the source of the list.
        let is_of = |leaf: &str| path.strip_prefix(leaf).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let of_leaf = provenance.as_object().unwrap().iter().find(|(leaf, _)| is_of(leaf)).map(|(_, of)| &of["source"]);
        // What is removed has no value any more that a source could have said.
        let of_leaf = of_leaf.filter(|_| operation["op"] != "remove");
        assert_eq!(operation.get("x-source"), of_leaf, "{operation} of {patch}");
        of_leaf.is_some()
    });
    named.count()
}

#[tokio::test]
async fn the_sources_are_those_of_the_provenance_and_only_for_those_who_ask() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "standard"}));
    let viewers = [
        (Token::citizen(USER), "2.0"),
        (Token::citizen(USER), "1.0"),
        (Token::service("profile:read"), "2.0"),
        (Token::new("admin", "adm:root", "profile:read"), "2.0"),
        (Token::new("agent", "agt:a", "section:economic").with("act", json!({"sub": USER})), "2.0"),
    ];
    let mut clients = Vec::new();
    for (token, version) in viewers {
        let mut sourced = open(&server, &token, version).await;
        let mut plain = LiveClient::open(&server, token.clone()).await;
        plain.subscribe_in(version, &[USER], None).await;
        let (state, of_plain) = (sourced.next().await, plain.next().await);
        assert_eq!(state, of_plain, "documents are the same");
        clients.push((sourced, plain, token, version, 0));
    }
    for (source, event) in changes(21) {
        server.apply(source, &event);
        let revision = server.own_profile(USER).json()["revision"].clone();
        for (sourced, plain, token, version, named) in &mut clients {
            let provenance = provenance(&server, token, version);
            while sourced.revisions[USER] != revision {
                let frame = sourced.next().await;
                // A revision in which nothing is seen is sent with the next one.
                if frame["type"] == "patch" && frame["revision"] == revision {
                    *named += check(&frame, &provenance);
                }
            }
            while plain.revisions[USER] != revision {
                let frame = plain.next().await;
                assert!(!frame.to_string().contains("x-source"), "nobody asked for it: {frame}");
            }
            assert_eq!(sourced.held[USER], plain.held[USER], "{} after {event}", token.claims);
        }
    }
    for (_, _, token, version, named) in &clients {
        assert!(*named >= 2, "{named} in {version} for {}", token.claims);
    }
}

#[tokio::test]
async fn a_subscription_keeps_its_sources_over_a_new_token_and_a_cursor() {
    let server = seeded();
    let changes = changes(6);
    let token = Token::citizen(USER);
    let mut client = open(&server, &token, "2.0").await;
    client.next().await;
    let cursor = client.cursors[USER].clone();
    server.apply(changes[5].0, &changes[5].1);
    // One that continues has the sources of now.
    let mut later = LiveClient::open(&server, token.clone()).await;
    let users = json!([{"user_id": USER, "cursor": cursor}]);
    later.send(&json!({"type": "subscribe", "users": users, "include": ["provenance"]})).await;
    let patch = later.receive().await.unwrap();
    assert!(check(&patch, &provenance(&server, &token, "2.0")) > 0, "{patch}");
    // A subscription with sources continues one without them, and the reverse: both hold the same documents.
    later.send(&json!({"type": "subscribe", "users": users})).await;
    let patch = later.receive().await.unwrap();
    assert!(patch["type"] == "patch" && !patch.to_string().contains("x-source"), "{patch}");
}

#[tokio::test]
async fn nothing_else_can_be_included_and_each_user_counts_as_a_sensitive_read() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    let subscribe = |include: Value| json!({"type": "subscribe", "users": [{"user_id": USER}], "include": include});
    for (include, problem) in [
        (json!(["history"]), "invalid-parameter"),
        (json!(["provenance", ""]), "invalid-parameter"),
        (json!("provenance"), "malformed-body"),
    ] {
        client.send(&subscribe(include.clone())).await;
        let error = client.receive().await.unwrap();
        assert_eq!(error["problem"]["type"], format!("/problems/{problem}"), "{include}: {error}");
    }
    client.send(&subscribe(json!([]))).await;
    assert_eq!(client.receive().await.unwrap()["type"], "profile");

    let events = format!("{}/events", profile_path(USER));
    let refused = server.get(&format!("{events}?include=x"), Token::citizen(USER));
    assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid-parameter"));
    let mut stream = Stream::open(&server, &format!("{events}?include=provenance"), Token::citizen(USER), "");
    stream.expect();
    let (source, event) = &changes(6)[5];
    server.apply(source, event);
    let (name, _, patch) = stream.expect();
    assert_eq!(name, "patch");
    assert!(check(&patch, &provenance(&server, &Token::citizen(USER), "2.0")) > 0, "{patch}");
    drop((stream, client));

    let data_dir: TempDir = server.kill();
    fs::write(data_dir.path().join("limits.toml"), include_str!("../../config/limits.toml")).unwrap();
    let server = start_on(data_dir);
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    // A citizen has 30 sensitive reads and 100 others a minute.
    for _ in 0..30 {
        client.send(&subscribe(json!(["provenance"]))).await;
        assert_eq!(client.receive().await.unwrap()["type"], "profile");
    }
    client.send(&subscribe(json!(["provenance"]))).await;
    let error = client.receive().await.unwrap();
    assert_eq!(error["problem"]["type"], "/problems/rate-limit-exceeded", "{error}");
    client.send(&subscribe(json!([]))).await;
    assert_eq!(client.receive().await.unwrap()["type"], "profile");
}
