//! Resuming with a cursor, and views that change with consent, token or day while they are followed.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::live::{changes, seeded, view_of};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, USER, profile_path, residency, start_on, start_server};
use crate::token::Token;

fn reader() -> Token {
    Token::service("profile:read live:many")
}

fn post(server: &TestServer, changes: &[(&'static str, serde_json::Value)]) {
    for (source, event) in changes {
        server.apply(source, event);
    }
}

#[tokio::test]
async fn a_cursor_is_continued_over_connections_checkpoints_and_a_crash() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let changes = changes(42);
    let mut own = LiveClient::open(&server, Token::citizen(USER)).await;
    let mut other = LiveClient::open(&server, reader()).await;
    for client in [&mut own, &mut other] {
        client.subscribe(&[USER], None).await;
        client.next().await;
    }
    // Nothing has changed since.
    let mut own = own.reconnect(&server, Token::citizen(USER)).await;
    let still = own.next().await;
    assert_eq!((&still["type"], &still["id"], &still["operations"]), (&json!("patch"), &json!("again"), &json!([])));

    post(&server, &changes[..14]);
    let mut own = own.reconnect(&server, Token::citizen(USER)).await;
    let way = own.next().await;
    assert_eq!((&way["type"], &way["id"], way.get("reset")), (&json!("patch"), &json!("again"), None), "{way}");
    assert_eq!(own.held[USER], server.own_profile(USER).json());

    // A clean stop writes everything to the checkpoint and the history; a crash leaves it in the journal.
    post(&server, &changes[14..28]);
    let (own, other) = (own.disconnect(), other.disconnect());
    let server = start_on(server.terminate().1);
    post(&server, &changes[28..]);
    let server = start_on(server.kill());
    for (client, token) in [(own, Token::citizen(USER)), (other, reader())] {
        let mut client = client.reconnect(&server, token.clone()).await;
        let way = client.next().await;
        assert_eq!((&way["id"], way.get("reset")), (&json!("again"), None), "{way}");
        assert_eq!(client.held[USER], server.get(&profile_path(USER), token).json());
    }
}

#[tokio::test]
async fn what_cannot_be_continued_resets_and_says_so() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let mut client = LiveClient::open(&server, reader()).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    let cursor = client.cursors[USER].clone();
    let subscribe = |cursor: String, fields: Option<&str>| {
        let mut message = json!({"type": "subscribe", "id": "9", "users": [{"user_id": USER, "cursor": cursor}]});
        if let Some(fields) = fields {
            message["fields"] = json!([fields]);
        }
        message
    };
    let (start, last) = cursor.split_at(cursor.len() - 1);
    let forged = format!("{start}{}", if last == "0" { "1" } else { "0" });
    let longer = format!("{cursor}00");
    for (cursor, fields) in
        [("", None), ("e1-r1-c0", None), (&*forged, None), (&*longer, None), (&*cursor, Some("economic"))]
    {
        client.send(&subscribe(cursor.to_owned(), fields)).await;
        let state = client.next().await;
        assert_eq!(
            (&state["type"], &state["id"], &state["reset"]),
            (&json!("profile"), &json!("9"), &json!(true)),
            "{cursor}: {state}"
        );
    }
    client.send(&subscribe(cursor.clone(), None)).await;
    assert_eq!(client.next().await["type"], "patch", "the cursor itself is good");
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let narrower = client.next().await;
    assert_eq!((&narrower["type"], narrower.get("reset")), (&json!("profile"), None));
    client.send(&subscribe(cursor.clone(), None)).await;
    assert_eq!(client.next().await["reset"], true, "the view has changed");
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    client.next().await;
    client.send(&subscribe(cursor, None)).await;
    let way = client.receive().await.unwrap();
    assert_eq!((&way["type"], way.get("reset")), (&json!("patch"), None), "and now it is the same again");
}

#[tokio::test]
async fn a_token_of_the_same_caller_may_open_another_view() {
    let server = seeded();
    let other = "usr_SomebodyElse01";
    server.apply("metadata", &residency(other, "r", "2026-01-10T00:00:00Z", 7));
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": false}));
    let mut client = LiveClient::open(&server, Token::service("profile:read ai_context live:many")).await;
    client.subscribe(&[USER, other], None).await;
    for _ in 0..2 {
        client.next().await;
    }
    assert!(client.held[USER].get("predictions").is_some());
    let say = |scope: &str| json!({"type": "auth", "token": server.sign(Token::service(scope))});

    client.send(&say("profile:read live:many")).await;
    for _ in 0..2 {
        let frame = client.next().await;
        assert_eq!((&frame["type"], frame["profile"].get("predictions")), (&json!("profile"), None));
    }
    assert_eq!(client.held[USER], view_of(&server, "profile:read"));

    client.send(&say("profile:read third_party live:many")).await;
    for _ in 0..2 {
        assert_eq!(client.next().await["type"], "gone");
    }
    server.apply("metadata", &residency(other, "s", "2026-01-11T00:00:00Z", 8));
    client.send(&json!({"type": "ping"})).await;
    assert_eq!(client.next().await, json!({"type": "pong"}), "no event of hidden users");
    server.consent(USER, &json!({"third_party_sharing": true}));
    let back = client.next().await;
    assert_eq!((&back["type"], &back["user_id"]), (&json!("profile"), &json!(USER)), "it is followed nevertheless");

    client.send(&say("live:many")).await;
    for _ in 0..2 {
        assert_eq!(client.next().await["type"], "gone", "no scope to read at all");
    }
    client.send(&say("profile:read live:many")).await;
    for _ in 0..2 {
        assert_eq!(client.next().await["type"], "profile");
    }
    assert_eq!(client.held[USER], view_of(&server, "profile:read"));
}

#[tokio::test]
async fn a_token_with_another_view_swallows_no_answer() {
    let server = seeded();
    let mut client = LiveClient::open(&server, reader()).await;
    let scopes = ["profile:read live:many ai_context", "profile:read live:many"];
    for turn in 0..40 {
        let id = format!("sub-{turn}");
        let users = json!([{"user_id": USER, "cursor": "nonsense"}]);
        // Both are sent together, so that the token often arrives before the answer is sent.
        let subscribe = json!({"type": "subscribe", "id": id, "users": users}).to_string();
        let auth = json!({"type": "auth", "token": server.sign(Token::service(scopes[turn % 2]))}).to_string();
        client.socket.feed(Message::text(subscribe)).await.unwrap();
        client.socket.feed(Message::text(auth)).await.unwrap();
        client.socket.flush().await.unwrap();
        client.send(&json!({"type": "ping"})).await;
        let (mut named, mut reset, mut ponged) = (0, 0, false);
        while !(ponged && named > 0) {
            let frame = client.next().await;
            ponged |= frame["type"] == "pong";
            named += usize::from(frame["id"] == id);
            reset += usize::from(frame["id"] == id && frame["reset"] == true);
        }
        assert_eq!((named, reset), (1, 1), "turn {turn}");
        client.send(&json!({"type": "unsubscribe", "user_ids": [USER]})).await;
        while client.next().await["type"] != "unsubscribed" {}
    }
}

#[tokio::test]
async fn live_clients_follow_the_access_table() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let mut client = LiveClient::open(&server, reader()).await;
    client.subscribe(&[USER], None).await;
    assert!(client.next().await["profile"].get("deadlines").is_some());
    let table = include_str!("../../config/access.toml");
    let changed = table.replace("  \"deadlines.*\",\n", "");
    assert_ne!(table, changed);
    std::fs::write(server.data_dir.path().join("access.toml"), changed).unwrap();
    let frame = client.next().await;
    assert_eq!((&frame["type"], frame["profile"].get("deadlines")), (&json!("profile"), None));
    std::fs::write(server.data_dir.path().join("access.toml"), table).unwrap();
    assert!(client.next().await["profile"].get("deadlines").is_some(), "and it grows again");
}

#[tokio::test]
async fn a_change_of_completeness_is_sent_to_callers_that_may_see_it() {
    let server = start_server();
    let event = residency(USER, "a", "2026-01-10T00:00:00Z", 7);
    server.apply("metadata", &event);
    let mut own = LiveClient::open(&server, Token::citizen(USER)).await;
    let mut service = LiveClient::open(&server, reader()).await;
    for client in [&mut own, &mut service] {
        client.subscribe(&[USER], None).await;
        client.next().await;
    }
    let old = own.held[USER]["profile_completeness_pct"].clone();
    let mut event = residency(USER, "b", "2026-01-11T00:00:00Z", 7);
    event["data"]["fields"] = json!({"demographics": {"state": "karnataka"}, "economic": {"income_bracket": "0-2.5L"}});
    server.apply("metadata", &event);
    assert_eq!(own.next().await["type"], "patch");
    let frame = own.next().await;
    let new = &own.held[USER]["profile_completeness_pct"];
    assert_eq!((&frame["type"], &frame["user_id"]), (&json!("completeness"), &json!(USER)));
    assert_eq!((&frame["old_pct"], &frame["new_pct"]), (&old, new));
    let missing = frame["missing_fields"].as_array().unwrap();
    assert!(missing.contains(&json!("demographics.district")) && !missing.contains(&json!("economic.income_bracket")));

    // At the lowest consent a service sees the state, but neither the percentage nor frames about it.
    assert_eq!(service.next().await["operations"][0]["path"], "/demographics");
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let next = service.next().await;
    assert_eq!((&next["type"], &next["operations"]), (&json!("patch"), &json!([])), "{next}");
}
