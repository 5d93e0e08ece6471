//! The WebSocket that follows profiles.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::{PATIENCE, Request};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, USER, profile_path, residency, start_server, start_server_with};
use crate::token::{Token, now};

const OTHER: &str = "usr_SomebodyElse01";

pub(crate) fn seeded() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

/// Returns events of many kinds, each later than all before it.
pub(crate) fn changes(count: u32) -> Vec<(&'static str, Value)> {
    let event = |n: u32, source: &str, name: &str, data: Value| {
        json!({
            "specversion": "1.0", "id": format!("chg-{n}"), "source": source, "type": name, "subject": USER,
            "time": format!("2026-01-21T10:{:02}:{:02}Z", n / 60, n % 60), "data": data,
        })
    };
    let change = |n: u32| match n % 7 {
        0 => (
            "metadata",
            event(n, "metadata", "user.metadata.updated", json!({"fields": {"family": {"dependents": n % 50}}})),
        ),
        1 => {
            let deadline = json!({"deadline_id": format!("dl_{n}"), "type": "tax", "description": "x", "due_date": "2026-03-01", "priority": "low", "action_url": "/a"});
            ("deadlines", event(n, "deadlines", "deadline.detected", deadline))
        }
        2 => {
            let done = json!({"deadline_id": format!("dl_{}", n - 1), "completed_at": "2026-01-20T00:00:00Z"});
            ("deadlines", event(n, "deadlines", "deadline.completed", done))
        }
        3 => (
            "analytics",
            event(n, "analytics", "analytics.cohort.computed", json!({"cohort_tags": [format!("tag_{n}"), "b"]})),
        ),
        4 => (
            "metadata",
            event(
                n,
                "metadata",
                "user.metadata.updated",
                json!({"fields": {"economic": null, "demographics": {"urban_rural": "rural"}}}),
            ),
        ),
        5 => (
            "metadata",
            event(
                n,
                "metadata",
                "user.metadata.updated",
                json!({"fields": {"economic": {"income_bracket": "20L+", "employment_type": "pension"}}}),
            ),
        ),
        _ => (
            "schemes",
            event(
                n,
                "schemes",
                "scheme.application.status_changed",
                json!({"scheme_id": "sch_pm_kisan", "application_status": (if n.is_multiple_of(2) { "approved" } else { "rejected" })}),
            ),
        ),
    };
    (0..count).map(change).collect()
}

#[tokio::test]
async fn the_answer_to_a_subscription_is_the_state_and_every_patch_continues_it() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let viewers: [(Token, Option<&[&str]>); 5] = [
        (Token::citizen(USER), None),
        (Token::service("profile:read"), None),
        (Token::service("profile:read ai_context"), None),
        (Token::new("admin", "adm:root", "profile:read"), Some(&["family", "deadlines.upcoming"])),
        (Token::new("agent", "agt:a", "section:deadlines section:cohort_tags").with("act", json!({"sub": USER})), None),
    ];
    let mut clients = Vec::new();
    for (token, fields) in viewers {
        let mut client = LiveClient::open(&server, token.clone()).await;
        client.subscribe(&[USER], fields).await;
        let state = client.next().await;
        assert_eq!((&state["type"], &state["id"], state.get("reset")), (&json!("profile"), &json!("7"), None));
        clients.push((client, token, fields));
    }
    let changes = changes(84);
    for (index, (source, event)) in changes.iter().enumerate() {
        let answer = server.post(source, event.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let revision = server.own_profile(USER).json()["revision"].clone();
        for (client, token, fields) in &mut clients {
            let path = match fields {
                Some(fields) => format!("{}?fields={}", profile_path(USER), fields.join(",")),
                None => profile_path(USER),
            };
            let request =
                Request::new("GET", path).bearer(&server.sign(token.clone())).header("x-access-reason", "a test");
            let mut view = server.send(request).json();
            view.as_object_mut().unwrap().remove("_meta");
            // A revision that does not change the view is sent within a second. The end of the test waits for it.
            let is_last = index + 1 == changes.len();
            if !is_last && content(&client.held[USER]) == content(&view) {
                continue;
            }
            client.reach(USER, &revision).await;
            assert_eq!(client.held[USER], view, "{} after {event}", token.claims);
        }
    }
}

/// Returns a view without the members that every revision changes.
fn content(view: &Value) -> Value {
    let mut view = view.clone();
    for member in ["revision", "generated_at", "assembly_latency_ms", "profile_hash"] {
        view.as_object_mut().unwrap().remove(member);
    }
    view
}

#[tokio::test]
async fn a_withdrawal_replaces_the_view_at_once() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let mut service = LiveClient::open(&server, Token::service("profile:read")).await;
    let mut third = LiveClient::open(&server, Token::service("profile:read third_party")).await;
    for client in [&mut service, &mut third] {
        client.subscribe(&[USER], None).await;
        assert!(client.next().await["profile"].get("deadlines").is_some());
    }
    server.consent(USER, &json!({"data_sharing_level": "minimal", "third_party_sharing": false}));
    let frame = service.next().await;
    assert_eq!((&frame["type"], frame["profile"].get("deadlines")), (&json!("profile"), None));
    let view = server.get(&profile_path(USER), Token::service("profile:read")).json();
    assert_eq!(service.held[USER], view);
    assert_eq!(third.next().await, json!({"type": "gone", "user_id": USER}));
    server.consent(USER, &json!({"third_party_sharing": true}));
    let back = third.next().await;
    assert_eq!((&back["type"], &back["profile"]), (&json!("profile"), &view_of(&server, "profile:read third_party")));
}

pub(crate) fn view_of(server: &TestServer, scope: &str) -> Value {
    server.get(&profile_path(USER), Token::service(scope)).json()
}

#[tokio::test]
async fn one_socket_follows_many_users_with_the_scope_for_it() {
    let server = seeded();
    server.apply("metadata", &residency(OTHER, "o-1", "2026-01-10T00:00:00Z", 1));
    let mut many = LiveClient::open(&server, Token::service("profile:read live:many")).await;
    many.subscribe(&[USER, OTHER], None).await;
    for _ in 0..2 {
        assert_eq!(many.next().await["id"], "7");
    }
    assert_eq!(many.held.keys().collect::<Vec<_>>(), [USER, OTHER]);

    let mut one = LiveClient::open(&server, Token::service("profile:read")).await;
    one.subscribe(&[USER, OTHER], None).await;
    let frames = [one.next().await, one.next().await];
    let error = frames.iter().find(|frame| frame["type"] == "error").unwrap();
    assert_eq!((&error["user_id"], &error["problem"]["type"]), (&json!(OTHER), &json!("/problems/missing-scope")));
    // Replacing the followed user does not exceed the limit of one.
    one.send(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER]})).await;
    assert_eq!(one.next().await, json!({"type": "unsubscribed", "id": "8"}));
    one.subscribe(&[OTHER], None).await;
    assert_eq!(one.next().await["user_id"], OTHER);
}

#[tokio::test]
async fn nothing_comes_after_unsubscribed() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    client.send(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER, OTHER]})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "id": "8"}));
    server.apply("metadata", &residency(USER, "x", "2026-01-20T00:00:00Z", 44));
    client.expect_silence().await;
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["profile"]["demographics"]["residency_years"], 44);
    client.subscribe(&[USER], Some(&["family"])).await;
    assert!(
        client.next().await["profile"].get("demographics").is_none(),
        "a second subscription takes the first's place"
    );
    server.apply("metadata", &residency(USER, "y", "2026-01-20T01:00:00Z", 45));
    assert_eq!(client.next().await["operations"], json!([]));
    client.expect_silence().await;
}

#[tokio::test]
async fn a_socket_lives_as_long_as_its_token() {
    let server = seeded();
    // Accepted for about two more seconds, because the leeway is 60 seconds.
    let ending = || Token::citizen(USER).with("iat", now() - 600).with("exp", now() - 58);
    let mut renewed = LiveClient::open(&server, ending()).await;
    renewed.send(&json!({"type": "auth", "token": server.sign(Token::citizen(OTHER))})).await;
    assert_eq!(renewed.next().await["problem"]["type"], "/problems/forbidden");
    renewed.send(&json!({"type": "auth", "token": "nonsense"})).await;
    assert_eq!(renewed.next().await["problem"]["type"], "/problems/invalid-token");
    renewed.send(&json!({"type": "auth", "token": server.sign(Token::citizen(USER))})).await;
    // Closes a socket that was opened later with a token of the same expiry.
    let mut not_renewed = LiveClient::open(&server, ending()).await;
    not_renewed.subscribe(&[USER], None).await;
    not_renewed.next().await;
    assert_eq!(not_renewed.receive().await, Err(4401));
    renewed.send(&json!({"type": "ping"})).await;
    assert_eq!(renewed.next().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn what_cannot_be_done_is_an_error_and_the_socket_stays() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::service("profile:read third_party live:many")).await;
    let hidden = USER;
    for user in [hidden, "usr_NobodyAtAll000", "nonsense"] {
        client.subscribe(&[user], None).await;
        let error = client.next().await;
        assert_eq!((&error["type"], &error["id"], &error["user_id"]), (&json!("error"), &json!("7"), &json!(user)));
        assert_eq!(
            (&error["problem"]["status"], &error["problem"]["type"]),
            (&json!(404), &json!("/problems/unknown-user"))
        );
    }
    let long_id = "x".repeat(129);
    for (message, problem) in [
        (json!({"type": "subscribe", "users": [], "schema_version": "3.0"}).to_string(), "not-acceptable"),
        (json!({"type": "subscribe", "id": long_id, "users": []}).to_string(), "invalid-parameter"),
        (json!({"type": "subscribe", "users": []}).to_string(), "invalid-parameter"),
        (json!({"type": "unsubscribe", "id": long_id, "user_ids": []}).to_string(), "invalid-parameter"),
        (json!({"type": "subscribe"}).to_string(), "malformed-body"),
        (json!({"type": "subscribe", "users": [], "more": 1}).to_string(), "malformed-body"),
        (json!({"type": "dance"}).to_string(), "malformed-body"),
        ("{".to_owned(), "malformed-body"),
        ("[]".to_owned(), "malformed-body"),
        (json!(["ping"]).to_string(), "malformed-body"),
        (json!(["subscribe", "1", [{"user_id": USER}], null, null]).to_string(), "malformed-body"),
        (json!({"type": "subscribe", "users": [[USER, null]]}).to_string(), "malformed-body"),
    ] {
        client.socket.send(Message::text(message.clone())).await.unwrap();
        let error = client.next().await;
        assert_eq!(error["problem"]["type"], format!("/problems/{problem}"), "{message}: {error}");
    }
    // The error has the `id` of a message with one.
    client.send(&json!({"type": "subscribe", "id": "7", "users": [], "schema_version": "3.0"})).await;
    let error = client.next().await;
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("7")), "{error}");
    client.send(&json!({"type": "ping"})).await;
    assert_eq!(client.next().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn an_answer_for_each_of_many_users_comes_however_late_it_is_read() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    let users: Vec<_> = (0..1_000).map(|n| json!({"user_id": format!("{n}")})).collect();
    let id = "\u{1}".repeat(128);
    for _ in 0..8 {
        client.send(&json!({"type": "subscribe", "id": id, "users": users})).await;
    }
    for _ in 0..8_000 {
        let error = client.next().await;
        assert_eq!((&error["id"], &error["problem"]["type"]), (&json!(id), &json!("/problems/unknown-user")));
    }
}

#[tokio::test]
async fn a_message_follows_each_user_once_and_the_last_entry_counts() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    let cursor = client.cursors[USER].clone();
    let mut users: Vec<_> = (0..1_500).map(|_| json!({"user_id": USER})).collect();
    users.push(json!({"user_id": USER, "cursor": cursor}));
    client.send(&json!({"type": "subscribe", "id": "8", "users": users})).await;
    let frame = client.next().await;
    assert_eq!((&frame["type"], &frame["id"]), (&json!("patch"), &json!("8")), "it goes on from the cursor: {frame}");
    // Each user is answered once.
    client.expect_silence().await;
    let many: Vec<_> = (0..3_000).map(|_| USER).collect();
    client.send(&json!({"type": "unsubscribe", "id": "9", "user_ids": many})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "id": "9"}));
}

#[tokio::test]
async fn a_message_with_more_users_than_a_socket_may_follow_is_one_error_and_does_nothing() {
    let server = start_server_with("[live]\nmax_subscriptions_per_socket = 2");
    server.post_example();
    let mut client = LiveClient::open(&server, Token::service("profile:read live:many")).await;
    client.subscribe(&[USER, OTHER, "usr_NobodyAtAll000"], None).await;
    let error = client.next().await;
    let expected = (&json!("error"), &json!("7"), None, &json!("/problems/invalid-parameter"));
    assert_eq!((&error["type"], &error["id"], error.get("user_id"), &error["problem"]["type"]), expected);
    // No user is followed.
    client.expect_silence().await;
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["type"], "profile");
    client.send(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER, OTHER, "usr_NobodyAtAll000"]})).await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["problem"]["type"]), (&json!("8"), &json!("/problems/invalid-parameter")));
    server.apply("metadata", &residency(USER, "x", "2026-01-20T00:00:00Z", 44));
    assert_eq!(client.next().await["type"], "patch", "the user is followed still");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_socket() {
    let server = seeded();
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::text("x".repeat(200 * 1024)), 1009),
        (Message::Close(None), 1000),
    ] {
        let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
        let _ = client.socket.send(message).await;
        assert_eq!(client.receive().await, Err(code));
    }
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    let text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    client.socket.send(Message::Frame(text)).await.unwrap();
    assert_eq!(client.receive().await, Err(1007));
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    client.socket.send(Message::Ping("echo".into())).await.unwrap();
    let pong = timeout(PATIENCE, client.socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong("echo".into()));
}

#[tokio::test]
async fn a_burst_of_pings_is_answered_whole_and_a_close_always_arrives() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    for n in 0..1_000 {
        client.socket.feed(Message::Ping(format!("{n}").into())).await.unwrap();
    }
    client.socket.feed(Message::binary(vec![1])).await.unwrap();
    client.socket.flush().await.unwrap();
    for n in 0..1_000 {
        let pong = timeout(PATIENCE, client.socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(pong, Message::Pong(format!("{n}").into()));
    }
    assert_eq!(client.receive().await, Err(1003));
}

#[tokio::test]
async fn an_administrator_is_on_record_for_each_user_followed() {
    let server = start_server_with("[log]\nlevel = \"debug\"");
    server.post_example();
    let mut client = LiveClient::open(&server, Token::new("admin", "adm:root", "profile:read")).await;
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["type"], "profile");
    let log = server.log();
    let entry = log.lines().find(|line| line.contains("administrative access")).expect("an entry");
    for part in ["actor=\"adm:root\"", "action=\"profile.subscribe\"", "reason=\"a test\"", "user:"] {
        assert!(entry.contains(part), "{entry}");
    }
    // Another spelling of the id does not appear in the log, either.
    let path = profile_path(USER).replacen("usr_", "%75sr_", 1);
    assert_eq!(server.get(&path, Token::citizen(USER)).status, 200);
    let tail = USER.strip_prefix("usr_").unwrap();
    assert!(!server.log().contains(tail), "{}", server.log());
}

#[tokio::test]
async fn the_handshake_refuses_with_problems() {
    let server = seeded();
    let plain = server.send(Request::new("GET", "/api/v2/live").bearer(&server.sign(Token::citizen(USER))));
    assert_eq!((plain.status, plain.problem().as_str()), (426, "upgrade-required"));
    let status = |result: Result<LiveClient, Error>| match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused: {:?}", other.err()),
    };
    assert_eq!(status(LiveClient::try_open(&server, Token::citizen("nobody"), None).await), 401);
    assert_eq!(status(LiveClient::try_open(&server, Token::citizen(USER), Some("other.v1")).await), 400);
    assert!(LiveClient::try_open(&server, Token::citizen(USER), None).await.is_ok());
}

#[tokio::test]
async fn sockets_and_subscriptions_are_bounded() {
    let server = start_server_with("[live]\nmax_sockets_per_caller = 2\nmax_subscriptions_per_socket = 2");
    for n in 0..3 {
        server.apply("metadata", &residency(&format!("usr_Bounded{n:07}"), "b", "2026-01-10T00:00:00Z", 1));
    }
    let token = || Token::service("profile:read live:many");
    let mut first = LiveClient::open(&server, token()).await;
    let _second = LiveClient::open(&server, token()).await;
    assert!(
        matches!(LiveClient::try_open(&server, token(), None).await, Err(Error::Http(response)) if response.status() == 429)
    );
    let _other = LiveClient::open(&server, Token::citizen(USER)).await;
    assert_eq!(server.metric("profile_live_connections"), 3.0);
    first.subscribe(&["usr_Bounded0000000", "usr_Bounded0000001"], None).await;
    first.subscribe(&["usr_Bounded0000002"], None).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(first.next().await["type"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["error", "profile", "profile"]);
    drop(first);
    crate::test_server::eventually("the place is free again", || server.metric("profile_live_connections") == 2.0);
    LiveClient::open(&server, token()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_catches_up_without_a_gap() {
    let server = start_server_with("[live]\noutlet_queue_frames = 4");
    server.post_example();
    let mut slow = LiveClient::open(&server, Token::citizen(USER)).await;
    slow.subscribe(&[USER], None).await;
    slow.next().await;
    // Most patches are long, so this is far more than the buffers of the sockets can hold.
    let tags: Vec<String> = (0..64).map(|n| format!("{n:0>120}")).collect();
    let mut events = String::new();
    for n in 0..3_000_u32 {
        let time = format!("2026-01-21T{:02}:{:02}:{:02}Z", n / 3_600, n / 60 % 60, n % 60);
        let tags: Vec<_> = tags.iter().map(|tag| format!("{n}{tag}")).collect();
        let event = json!({
            "specversion": "1.0", "id": format!("t-{n}"), "source": "analytics", "type": "analytics.cohort.computed",
            "subject": USER, "time": time, "data": {"cohort_tags": tags},
        });
        events.push_str(&format!("{event}\n"));
    }
    let total = server.post_as("analytics", "application/x-ndjson", events).lines().pop().unwrap();
    assert_eq!(total["applied"], 3_000, "a slow client holds nobody up: {total}");
    let own = server.own_profile(USER).json();
    slow.reach(USER, &own["revision"]).await;
    assert_eq!(slow.held[USER], own);
}

#[tokio::test]
async fn a_stop_closes_sockets_as_going_away() {
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    let stopping = tokio::task::spawn_blocking(move || server.terminate());
    assert_eq!(client.receive().await, Err(1001));
    drop(client);
    assert_eq!(stopping.await.unwrap().0.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_disconnected() {
    let server = start_server_with("[live]\nheartbeat_s = 1");
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    // Two unanswered pings end a connection, so a third ping shows that two were answered. The library answers only
    // while it is polled.
    for _ in 0..3 {
        let message = timeout(PATIENCE, client.socket.next()).await.unwrap().unwrap().unwrap();
        assert!(message.is_ping(), "{message:?}");
    }
    // From here on the client is not polled.
    crate::test_server::eventually("the socket is closed", || server.metric("profile_live_connections") == 0.0);
}
