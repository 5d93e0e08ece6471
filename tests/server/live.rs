//! Following profiles over the WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::app::{App, USER, profile_path, residency, spawn_app, spawn_app_with};
use crate::http::Request;
use crate::live_client::Client;
use crate::token::{Token, now};

const OTHER: &str = "usr_SomebodyElse01";

pub(crate) fn seeded() -> App {
    let app = spawn_app();
    app.post_example();
    app
}

/// Events of many kinds, each younger than all before it.
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
    let app = seeded();
    app.consent(USER, &json!({"data_sharing_level": "full"}));
    let viewers: [(Token, Option<&[&str]>); 5] = [
        (Token::citizen(USER), None),
        (Token::service("profile:read"), None),
        (Token::service("profile:read ai_context"), None),
        (Token::new("admin", "adm:root", "profile:read"), Some(&["family", "deadlines.upcoming"])),
        (Token::new("agent", "agt:a", "section:deadlines section:cohort_tags").with("act", json!({"sub": USER})), None),
    ];
    let mut clients = Vec::new();
    for (token, fields) in viewers {
        let mut client = Client::open(&app, token.clone()).await;
        client.subscribe(&[USER], fields).await;
        let state = client.next().await;
        assert_eq!((&state["type"], &state["id"], state.get("reset")), (&json!("profile"), &json!("7"), None));
        clients.push((client, token, fields));
    }
    for (source, event) in changes(84) {
        let answer = app.post(source, event.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let revision = app.own_profile(USER).json()["revision"].clone();
        for (client, token, fields) in &mut clients {
            client.reach(USER, &revision).await;
            let path = match fields {
                Some(fields) => format!("{}?fields={}", profile_path(USER), fields.join(",")),
                None => profile_path(USER),
            };
            let request =
                Request::new("GET", path).bearer(&app.sign(token.clone())).header("x-access-reason", "a test");
            let mut view = app.send(request).json();
            view.as_object_mut().unwrap().remove("_meta");
            assert_eq!(client.held[USER], view, "{} after {event}", token.claims);
        }
    }
}

#[tokio::test]
async fn a_withdrawal_replaces_the_view_at_once() {
    let app = seeded();
    app.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let mut service = Client::open(&app, Token::service("profile:read")).await;
    let mut third = Client::open(&app, Token::service("profile:read third_party")).await;
    for client in [&mut service, &mut third] {
        client.subscribe(&[USER], None).await;
        assert!(client.next().await["profile"].get("deadlines").is_some());
    }
    app.consent(USER, &json!({"data_sharing_level": "minimal", "third_party_sharing": false}));
    let frame = service.next().await;
    assert_eq!((&frame["type"], frame["profile"].get("deadlines")), (&json!("profile"), None));
    let view = app.get(&profile_path(USER), Token::service("profile:read")).json();
    assert_eq!(service.held[USER], view);
    assert_eq!(third.next().await, json!({"type": "gone", "user_id": USER}));
    app.consent(USER, &json!({"third_party_sharing": true}));
    let back = third.next().await;
    assert_eq!((&back["type"], &back["profile"]), (&json!("profile"), &view_of(&app, "profile:read third_party")));
}

pub(crate) fn view_of(app: &App, scope: &str) -> Value {
    app.get(&profile_path(USER), Token::service(scope)).json()
}

#[tokio::test]
async fn one_socket_follows_many_users_with_the_scope_for_it() {
    let app = seeded();
    app.apply("metadata", &residency(OTHER, "o-1", "2026-01-10T00:00:00Z", 1));
    let mut many = Client::open(&app, Token::service("profile:read live:many")).await;
    many.subscribe(&[USER, OTHER], None).await;
    for _ in 0..2 {
        assert_eq!(many.next().await["id"], "7");
    }
    assert_eq!(many.held.keys().collect::<Vec<_>>(), [USER, OTHER]);

    let mut one = Client::open(&app, Token::service("profile:read")).await;
    one.subscribe(&[USER, OTHER], None).await;
    let frames = [one.next().await, one.next().await];
    let error = frames.iter().find(|frame| frame["type"] == "error").unwrap();
    assert_eq!((&error["user_id"], &error["problem"]["type"]), (&json!(OTHER), &json!("/problems/missing-scope")));
    // To go over to another user is no second one.
    one.say(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER]})).await;
    assert_eq!(one.next().await, json!({"type": "unsubscribed", "id": "8"}));
    one.subscribe(&[OTHER], None).await;
    assert_eq!(one.next().await["user_id"], OTHER);
}

#[tokio::test]
async fn nothing_comes_after_unsubscribed() {
    let app = seeded();
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    client.say(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER, OTHER]})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "id": "8"}));
    app.apply("metadata", &residency(USER, "x", "2026-01-20T00:00:00Z", 44));
    assert!(client.is_silent().await);
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["profile"]["demographics"]["residency_years"], 44);
    client.subscribe(&[USER], Some(&["family"])).await;
    assert!(
        client.next().await["profile"].get("demographics").is_none(),
        "a second subscription takes the first's place"
    );
    app.apply("metadata", &residency(USER, "y", "2026-01-20T01:00:00Z", 45));
    assert_eq!(client.next().await["operations"], json!([]));
    assert!(client.is_silent().await);
}

#[tokio::test]
async fn a_socket_lives_as_long_as_its_token() {
    let app = seeded();
    // Accepted for another two seconds or so: the leeway is sixty.
    let ending = || Token::citizen(USER).with("iat", now() - 600).with("exp", now() - 58);
    let mut client = Client::open(&app, ending()).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    assert_eq!(client.receive().await, Err(4401));

    let mut renewed = Client::open(&app, ending()).await;
    renewed.say(&json!({"type": "auth", "token": app.sign(Token::citizen(OTHER))})).await;
    assert_eq!(renewed.next().await["problem"]["type"], "/problems/forbidden");
    renewed.say(&json!({"type": "auth", "token": "nonsense"})).await;
    assert_eq!(renewed.next().await["problem"]["type"], "/problems/invalid-token");
    renewed.say(&json!({"type": "auth", "token": app.sign(Token::citizen(USER))})).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    renewed.say(&json!({"type": "ping"})).await;
    assert_eq!(renewed.next().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn what_cannot_be_done_is_an_error_and_the_socket_stays() {
    let app = seeded();
    let mut client = Client::open(&app, Token::service("profile:read third_party live:many")).await;
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
        (json!({"type": "subscribe", "users": [], "schema_version": "1.0"}).to_string(), "not-acceptable"),
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
    // Whoever can be told by its name is.
    client.say(&json!({"type": "subscribe", "id": "7", "users": [], "schema_version": "1.0"})).await;
    let error = client.next().await;
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("7")), "{error}");
    client.say(&json!({"type": "ping"})).await;
    assert_eq!(client.next().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn an_answer_for_each_of_many_users_comes_however_late_it_is_read() {
    let app = seeded();
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    let users: Vec<_> = (0..1_000).map(|n| json!({"user_id": format!("{n}")})).collect();
    let id = "\u{1}".repeat(128);
    for _ in 0..8 {
        client.say(&json!({"type": "subscribe", "id": id, "users": users})).await;
    }
    for _ in 0..8_000 {
        let error = client.next().await;
        assert_eq!((&error["id"], &error["problem"]["type"]), (&json!(id), &json!("/problems/unknown-user")));
    }
}

#[tokio::test]
async fn a_message_follows_each_user_once_and_the_last_entry_counts() {
    let app = seeded();
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    let cursor = client.cursors[USER].clone();
    let mut users: Vec<_> = (0..1_500).map(|_| json!({"user_id": USER})).collect();
    users.push(json!({"user_id": USER, "cursor": cursor}));
    client.say(&json!({"type": "subscribe", "id": "8", "users": users})).await;
    let frame = client.next().await;
    assert_eq!((&frame["type"], &frame["id"]), (&json!("patch"), &json!("8")), "it goes on from the cursor: {frame}");
    assert!(client.is_silent().await, "one answer for one user");
    let many: Vec<_> = (0..3_000).map(|_| USER).collect();
    client.say(&json!({"type": "unsubscribe", "id": "9", "user_ids": many})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "id": "9"}));
}

#[tokio::test]
async fn a_message_with_more_users_than_a_socket_may_follow_is_one_error_and_does_nothing() {
    let app = spawn_app_with("[live]\nmax_subscriptions_per_socket = 2");
    app.post_example();
    let mut client = Client::open(&app, Token::service("profile:read live:many")).await;
    client.subscribe(&[USER, OTHER, "usr_NobodyAtAll000"], None).await;
    let error = client.next().await;
    let expected = (&json!("error"), &json!("7"), None, &json!("/problems/invalid-parameter"));
    assert_eq!((&error["type"], &error["id"], error.get("user_id"), &error["problem"]["type"]), expected);
    assert!(client.is_silent().await, "nobody is followed");
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["type"], "profile");
    client.say(&json!({"type": "unsubscribe", "id": "8", "user_ids": [USER, OTHER, "usr_NobodyAtAll000"]})).await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["problem"]["type"]), (&json!("8"), &json!("/problems/invalid-parameter")));
    app.apply("metadata", &residency(USER, "x", "2026-01-20T00:00:00Z", 44));
    assert_eq!(client.next().await["type"], "patch", "the user is followed still");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_socket() {
    let app = seeded();
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::text("x".repeat(200 * 1024)), 1009),
        (Message::Close(None), 1000),
    ] {
        let mut client = Client::open(&app, Token::citizen(USER)).await;
        let _ = client.socket.send(message).await;
        assert_eq!(client.receive().await, Err(code));
    }
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    let text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    client.socket.send(Message::Frame(text)).await.unwrap();
    assert_eq!(client.receive().await, Err(1007));
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    client.socket.send(Message::Ping("echo".into())).await.unwrap();
    let pong = timeout(Duration::from_secs(5), client.socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong("echo".into()));
}

#[tokio::test]
async fn a_burst_of_pings_is_answered_whole_and_a_close_always_arrives() {
    let app = seeded();
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    for n in 0..1_000 {
        client.socket.feed(Message::Ping(format!("{n}").into())).await.unwrap();
    }
    client.socket.feed(Message::binary(vec![1])).await.unwrap();
    client.socket.flush().await.unwrap();
    for n in 0..1_000 {
        let pong = timeout(Duration::from_secs(5), client.socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(pong, Message::Pong(format!("{n}").into()));
    }
    assert_eq!(client.receive().await, Err(1003));
}

#[tokio::test]
async fn an_administrator_is_on_record_for_each_user_followed() {
    let app = spawn_app_with("[log]\nlevel = \"debug\"");
    app.post_example();
    let mut client = Client::open(&app, Token::new("admin", "adm:root", "profile:read")).await;
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["type"], "profile");
    let log = app.log();
    let entry = log.lines().find(|line| line.contains("administrative access")).expect("an entry");
    for part in ["actor=\"adm:root\"", "action=\"subscribe\"", "reason=\"a test\"", "user:"] {
        assert!(entry.contains(part), "{entry}");
    }
    // An id that is written in another way is logged no other.
    let path = profile_path(USER).replacen("usr_", "%75sr_", 1);
    assert_eq!(app.get(&path, Token::citizen(USER)).status, 200);
    let tail = USER.strip_prefix("usr_").unwrap();
    assert!(!app.log().contains(tail), "{}", app.log());
}

#[tokio::test]
async fn the_handshake_refuses_with_problems() {
    let app = seeded();
    let plain = app.send(Request::new("GET", "/api/v2/live").bearer(&app.sign(Token::citizen(USER))));
    assert_eq!((plain.status, plain.problem().as_str()), (426, "upgrade-required"));
    let status = |result: Result<Client, Error>| match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused: {:?}", other.err()),
    };
    assert_eq!(status(Client::try_open(&app, Token::citizen("nobody"), None).await), 401);
    assert_eq!(status(Client::try_open(&app, Token::citizen(USER), Some("other.v1")).await), 400);
    assert!(Client::try_open(&app, Token::citizen(USER), None).await.is_ok());
}

#[tokio::test]
async fn sockets_and_subscriptions_are_bounded() {
    let app = spawn_app_with("[live]\nmax_sockets_per_caller = 2\nmax_subscriptions_per_socket = 2");
    for n in 0..3 {
        app.apply("metadata", &residency(&format!("usr_Bounded{n:07}"), "b", "2026-01-10T00:00:00Z", 1));
    }
    let token = || Token::service("profile:read live:many");
    let mut first = Client::open(&app, token()).await;
    let _second = Client::open(&app, token()).await;
    assert!(
        matches!(Client::try_open(&app, token(), None).await, Err(Error::Http(response)) if response.status() == 429)
    );
    let _other = Client::open(&app, Token::citizen(USER)).await;
    assert_eq!(app.metric("profile_live_connections"), 3.0);
    first.subscribe(&["usr_Bounded0000000", "usr_Bounded0000001"], None).await;
    first.subscribe(&["usr_Bounded0000002"], None).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(first.next().await["type"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["error", "profile", "profile"]);
    drop(first);
    crate::app::eventually("the place is free again", || app.metric("profile_live_connections") == 2.0);
    Client::open(&app, token()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_catches_up_without_a_gap() {
    let app = spawn_app_with("[live]\noutlet_queue_frames = 4");
    app.post_example();
    let mut slow = Client::open(&app, Token::citizen(USER)).await;
    slow.subscribe(&[USER], None).await;
    slow.next().await;
    // Far more than the sockets' own buffers hold, since most patches are long.
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
    let total = app.post_as("analytics", "application/x-ndjson", events).lines().pop().unwrap();
    assert_eq!(total["applied"], 3_000, "a slow client holds nobody up: {total}");
    let own = app.own_profile(USER).json();
    slow.reach(USER, &own["revision"]).await;
    assert_eq!(slow.held[USER], own);
}

#[tokio::test]
async fn a_stop_closes_sockets_as_going_away() {
    let app = seeded();
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    let stopping = tokio::task::spawn_blocking(move || app.terminate());
    assert_eq!(client.receive().await, Err(1001));
    assert_eq!(stopping.await.unwrap().0.code(), Some(0));
}

#[tokio::test]
async fn a_silent_client_is_let_go() {
    let app = spawn_app_with("[live]\nheartbeat_s = 1");
    let mut client = Client::open(&app, Token::citizen(USER)).await;
    // Whoever reads answers pings; whoever does not is gone after two of them.
    assert!(timeout(Duration::from_secs(4), client.receive()).await.is_err(), "a client that answers pings stays");
    tokio::time::sleep(Duration::from_secs(4)).await;
    crate::app::eventually("the socket is closed", || app.metric("profile_live_connections") == 0.0);
}
