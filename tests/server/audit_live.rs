//! What sockets and streams count for the rate limits and leave in the audit log: the same as reads of the profiles.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, connect, read_head};
use crate::live_client::LiveClient;
use crate::route_table::entries;
use crate::test_server::{TestServer, USER, profile_path, start_on, start_server, start_server_with};
use crate::token::Token;

const OTHER: &str = "usr_SomebodyElse01";

fn admin() -> Token {
    Token::new("admin", "adm:asha", "profile:read")
}

fn agent() -> Token {
    Token::new("agent", "agt:a", "section:family section:deadlines").with("act", json!({"sub": USER}))
}

/// Starts a server with the default limits, some of them changed.
fn start_limited(changes: &[(&str, &str)]) -> TestServer {
    let limits = changes.iter().fold(config::LIMITS_TOML.to_owned(), |limits, (from, to)| limits.replacen(from, to, 1));
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("limits.toml"), limits).unwrap();
    let server = start_on(data_dir);
    server.post_example();
    server
}

/// Returns the entries of an actor with an action, the oldest first.
fn of_actor(server: &TestServer, action: &str, actor: &str) -> Vec<Value> {
    let mut found = entries(server);
    found.retain(|entry| entry["action"] == action && entry["actor"] == actor);
    found.reverse();
    found
}

/// Returns the category and the decision of each entry, sorted: only entries of a category have an order.
fn decisions(entries: &[Value]) -> Vec<(&str, &str)> {
    let pairs = entries.iter().map(|entry| (&entry["category"], &entry["decision"]));
    let mut pairs: Vec<_> = pairs.map(|(category, decision)| (text(category), text(decision))).collect();
    pairs.sort_unstable();
    pairs
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Opens a stream, and returns it when its answer has begun.
fn open(server: &TestServer, request: &Request) -> BufReader<TcpStream> {
    let mut stream = connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream);
    assert_eq!(head.status, 200, "{head:?}");
    stream
}

/// Checks that a subscription has left what a read of the profile by the same caller leaves, but for the action.
fn check_like_a_read(server: &TestServer, actor: &str) {
    let [read, subscribed] =
        ["profile.read", "profile.subscribe"].map(|action| of_actor(server, action, actor).pop().expect("an entry"));
    for member in ["category", "decision", "subject", "fields", "generation", "reason", "tenant"] {
        assert_eq!(subscribed[member], read[member], "{member} in {subscribed} and {read}");
    }
    assert!(subscribed["fields"].is_array() && subscribed["generation"] == 1, "{subscribed}");
    assert!(read["category"] == "operations" || subscribed["request_id"].is_string(), "{subscribed}");
}

fn read(server: &TestServer, token: Token) {
    let request =
        Request::new("GET", profile_path(USER)).bearer(&server.sign(token)).header("x-access-reason", "a test");
    assert_eq!(server.send(request).status, 200);
}

#[tokio::test]
async fn a_subscription_on_a_socket_leaves_what_a_read_leaves() {
    let server = start_server();
    server.post_example();
    for (token, actor) in [(admin(), "adm:asha"), (agent(), "agt:a"), (Token::service("profile:read"), "svc:test")] {
        read(&server, token.clone());
        let mut client = LiveClient::open(&server, token).await;
        client.subscribe(&[USER], None).await;
        assert_eq!(client.next().await["type"], "profile");
        check_like_a_read(&server, actor);
    }
    // A citizen's own read leaves nothing; the subscription leaves one entry, without a promise.
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    client.subscribe(&[USER], None).await;
    assert_eq!(client.next().await["type"], "profile");
    let own: Vec<_> = entries(&server)
        .into_iter()
        .filter(|entry| entry["actor"] == format!("user:{}", entry["subject"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(decisions(&own), [("operations", "allowed")], "{own:?}");
}

#[test]
fn a_stream_of_events_leaves_what_a_read_leaves() {
    let server = start_server();
    server.post_example();
    for (token, actor) in [(admin(), "adm:asha"), (agent(), "agt:a"), (Token::service("profile:read"), "svc:test")] {
        read(&server, token.clone());
        let request = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&server.sign(token));
        open(&server, &request.header("x-access-reason", "a test"));
        check_like_a_read(&server, actor);
    }
}

#[tokio::test]
async fn fields_that_are_asked_for_narrow_the_entry() {
    let server = start_server();
    server.post_example();
    let mut client = LiveClient::open(&server, admin()).await;
    client.subscribe(&[USER], Some(&["identity.gender"])).await;
    client.next().await;
    let [entry] = &of_actor(&server, "profile.subscribe", "adm:asha")[..] else { panic!("one entry") };
    assert_eq!(entry["fields"], json!(["identity.gender"]));
}

#[tokio::test]
async fn refused_subscriptions_are_recorded() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": false}));
    let mut admin = LiveClient::open(&server, admin()).await;
    admin.subscribe(&[OTHER], None).await;
    assert_eq!(admin.next().await["problem"]["status"], 404);
    assert_eq!(decisions(&of_actor(&server, "profile.subscribe", "adm:asha")), [("compliance", "denied")]);

    let mut third = LiveClient::open(&server, Token::service("profile:read third_party")).await;
    let mut blind = LiveClient::open(&server, Token::new("service", "svc:blind", "")).await;
    for client in [&mut third, &mut blind] {
        client.subscribe(&[USER], None).await;
        assert_eq!(client.next().await["problem"]["status"], 404);
    }
    for actor in ["svc:test", "svc:blind"] {
        let found = of_actor(&server, "profile.subscribe", actor);
        assert_eq!(decisions(&found), [("security", "denied")], "{actor}");
        assert_eq!(found[0]["problem"], "unknown-user");
    }
    let mut one = LiveClient::open(&server, Token::new("service", "svc:one", "profile:read")).await;
    one.subscribe(&[USER], None).await;
    one.next().await;
    one.subscribe(&[OTHER], None).await;
    assert_eq!(one.next().await["problem"]["status"], 403);
    let found = of_actor(&server, "profile.subscribe", "svc:one");
    assert_eq!(decisions(&found), [("operations", "allowed"), ("security", "denied")]);
}

#[tokio::test]
async fn each_user_of_a_subscription_counts_as_a_read() {
    let server = start_limited(&[("limit = 100\n", "limit = 5\n")]);
    // The handshake counts, too.
    let mut client = LiveClient::open(&server, admin()).await;
    client.subscribe(&[USER, OTHER], None).await;
    for _ in 0..2 {
        client.next().await;
    }
    client.subscribe(&[USER, OTHER, "usr_AnotherOne0002"], None).await;
    let refused = client.next().await;
    let problem = &refused["problem"];
    assert_eq!((&refused["type"], &refused["id"], refused.get("user_id")), (&json!("error"), &json!("7"), None));
    assert_eq!((&problem["type"], &problem["status"]), (&json!("/problems/rate-limit-exceeded"), &json!(429)));
    assert!((1..=60).contains(&refused["retry_after_s"].as_u64().unwrap()), "{refused}");
    client.subscribe(&[USER, OTHER], None).await;
    for _ in 0..2 {
        client.next().await;
    }
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(admin()));
    assert_eq!(
        server.send(request.header("x-access-reason", "a test")).status,
        429,
        "reads and subscriptions count together"
    );
    let reached = of_actor(&server, "limit.reached", "adm:asha");
    assert_eq!((decisions(&reached), &reached[0]["limit"]), (vec![("security", "denied")], &json!("read")));
    assert_eq!(of_actor(&server, "profile.subscribe", "adm:asha").len(), 4, "nothing was read over the limit");
}

#[tokio::test]
async fn tokens_that_a_socket_sends_are_counted_and_failures_recorded() {
    let server = start_limited(&[("limit = 10\n", "limit = 3\n")]);
    let mut client = LiveClient::open(&server, Token::service("profile:read")).await;
    client.send(&json!({"type": "auth", "token": "nonsense"})).await;
    assert_eq!(client.next().await["problem"]["type"], "/problems/invalid-token");
    let failed: Vec<_> =
        entries(&server).into_iter().filter(|entry| entry["action"] == "authentication.failed").collect();
    assert_eq!((failed.len(), &failed[0]["address"]), (1, &json!("127.0.0.1")));
    let others = server.sign(Token::new("service", "svc:other", "profile:read"));
    client.send(&json!({"type": "auth", "token": others})).await;
    assert_eq!(client.next().await["problem"]["type"], "/problems/forbidden");
    assert_eq!(decisions(&of_actor(&server, "profile.subscribe", "svc:test")), [("security", "denied")]);
    for _ in 0..2 {
        client.send(&json!({"type": "auth", "token": server.sign(Token::service("profile:read"))})).await;
    }
    let refused = client.next().await;
    assert_eq!(refused["problem"]["type"], "/problems/rate-limit-exceeded", "the fourth");
    assert!(refused["retry_after_s"].is_u64(), "{refused}");
    assert_eq!(of_actor(&server, "limit.reached", "svc:test")[0]["limit"], "auth");
}

#[tokio::test]
async fn failures_on_a_socket_count_for_its_address() {
    let server = start_limited(&[("failures = 60", "failures = 2")]);
    let mut client = LiveClient::open(&server, Token::service("profile:read")).await;
    let mut problems = Vec::new();
    for _ in 0..3 {
        client.send(&json!({"type": "auth", "token": "nonsense"})).await;
        problems.push(client.next().await["problem"]["status"].clone());
    }
    assert_eq!(problems, [json!(401), json!(401), json!(429)]);
    assert_eq!(server.send(Request::new("GET", profile_path(USER)).bearer("x")).status, 429);
}

#[tokio::test]
async fn a_token_that_shows_more_is_recorded_as_a_new_subscription() {
    let server = start_server();
    server.post_example();
    let narrow = Token::new("agent", "agt:a", "section:family").with("act", json!({"sub": USER}));
    let mut client = LiveClient::open(&server, narrow).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    client.send(&json!({"type": "auth", "token": server.sign(agent())})).await;
    let frame = client.next().await;
    assert!(frame["profile"].get("deadlines").is_some(), "{frame}");
    let found = of_actor(&server, "profile.subscribe", "agt:a");
    assert_eq!(decisions(&found), [("compliance", "allowed"); 2]);
    let shows_deadlines = |entry: &Value| entry["fields"].to_string().contains("deadlines.");
    assert_eq!(found.iter().map(shows_deadlines).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_socket_too_many_is_recorded() {
    let server = start_server_with("[live]\nmax_sockets_per_caller = 1");
    let _first = LiveClient::open(&server, Token::service("profile:read")).await;
    assert!(LiveClient::try_open(&server, Token::service("profile:read"), None).await.is_err());
    let found = of_actor(&server, "profile.subscribe", "svc:test");
    assert_eq!((decisions(&found), &found[0]["problem"]), (vec![("security", "denied")], &json!("too-many-sockets")));
}

#[test]
fn followers_of_all_users_are_recorded() {
    let server = start_server();
    server.post_example();
    for (role, subject, category) in [("admin", "adm:root", "compliance"), ("service", "svc:test", "operations")] {
        let token = server.sign(Token::new(role, subject, "events:read profile:read"));
        let request = Request::new("GET", "/api/v2/events").bearer(&token).header("x-access-reason", "a test");
        open(&server, &request);
        let found = of_actor(&server, "profiles.subscribe", subject);
        assert_eq!(decisions(&found), [(category, "allowed")]);
        assert!(found[0].get("subject").is_none() && found[0]["request_id"].is_string());
    }
}
