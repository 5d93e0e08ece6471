//! Bounds of request bodies and answers: of each one, and of all together.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{self, BodyReader, Request, Response};
use crate::live_client::LiveClient;
use crate::test_server::{
    TestServer, USER, eventually, feed_path, profile_path, residency, start_server, start_server_with,
};
use crate::token::{Token, now};

const SINGLE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const NDJSON: &str = "application/x-ndjson";
const MIB: usize = 1 << 20;
const IN_FLIGHT: &str = "profile_http_in_flight_bytes";

/// Returns the head of a request to the feed `metadata`.
fn feed(server: &TestServer, form: &str) -> Request {
    let token = server.sign(Token::service("feed:metadata"));
    Request::new("POST", feed_path("metadata")).bearer(&token).header("content-type", form)
}

/// Sends the head of a request, then `body`, which may be shorter than the head announces.
fn begin(server: &TestServer, request: &Request, body: &[u8]) -> TcpStream {
    let mut stream = http::connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(body);
    stream
}

fn answer(stream: TcpStream) -> Response {
    http::read_response(&mut BufReader::new(stream), true)
}

fn chunk(text: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

/// Returns an event with more errors than are reported.
fn faulty(number: usize) -> Value {
    let mut event = residency(USER, &format!("faulty-{number}"), "2026-01-10T00:00:00Z", 1);
    let members: serde_json::Map<_, _> = (0..20).map(|n| (format!("unknown_{n}"), json!(1))).collect();
    event["data"]["fields"]["demographics"] = Value::Object(members);
    event
}

#[test]
fn a_batch_of_too_many_events_is_refused_while_it_is_read() {
    let server = start_server();
    let many = |bytes: usize| format!("[{}", "1,".repeat(bytes / 2)).into_bytes();
    // The rest of the announced body never arrives, and the server does not wait for it.
    let request = feed(&server, BATCH).header("content-length", (64 * MIB).to_string());
    let refused = answer(begin(&server, &request, &many(MIB)));
    assert_eq!((refused.status, refused.problem().as_str()), (413, "too-large"), "{}", refused.text());

    let before = server.peak_bytes();
    let whole = many(64 * MIB - 2);
    let request = feed(&server, BATCH).header("content-length", whole.len().to_string());
    let mut stream = http::connect(server.listen);
    let mut writer = stream.try_clone().unwrap();
    stream.write_all(request.head().as_bytes()).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(writer.write_all(&whole)));
        assert_eq!(answer(stream).status, 413);
    });
    let grown = server.peak_bytes() - before;
    assert!(grown < 32 * MIB as u64, "{grown} bytes more were held");
    assert_eq!(server.metric("profile_feed_events_total{source=\"metadata\",status=\"rejected\"}"), 0.0);
}

#[test]
fn a_batch_that_is_malformed_at_its_end_changes_nothing() {
    let server = start_server();
    let good = residency(USER, "good", "2026-01-10T00:00:00Z", 5);
    for end in ["", ",", ",]", "} ]", "] x"] {
        let refused = server.post_as("metadata", BATCH, format!("[{good}{end}"));
        assert_eq!((refused.status, refused.problem().as_str()), (400, "malformed-body"), "{end}");
        assert!(refused.text().contains("line 1, column "), "it says where: {}", refused.text());
    }
    assert_eq!(server.get(&profile_path(USER), Token::citizen(USER)).status, 404);
}

#[test]
fn the_answer_to_a_batch_is_bounded_and_says_what_it_omits() {
    const EVENTS: usize = 2_000;
    let server = start_server_with("[http]\nmax_answer_bytes = 65_536");
    let events: Vec<Value> = (0..EVENTS).map(faulty).collect();
    let found = server.post_as("metadata", BATCH, json!(events).to_string());
    assert!(found.status == 200 && found.body.len() <= 65_536 + 200, "{} bytes", found.body.len());
    let problem = found.json();
    let listed = problem["results"].as_array().unwrap();
    assert_eq!(problem["rejected"], EVENTS);
    assert_eq!(listed.len() as u64 + problem["results_omitted"].as_u64().unwrap(), EVENTS as u64);
    for (index, result) in listed.iter().enumerate() {
        assert_eq!((&result["index"], &result["id"]), (&json!(index), &json!(format!("faulty-{index}"))));
        let problem = &result["problem"];
        assert_eq!(problem["errors"].as_array().unwrap().len(), 16);
        assert!(problem["detail"].as_str().unwrap().contains("more faults"), "{problem}");
    }
    assert_eq!(server.metric(IN_FLIGHT), 0.0, "what was sent is released");
}

/// The smallest memory budget: 1 MiB, of which large bodies may use 960 KiB.
const NARROW: &str = "[http]\nin_flight_bytes = 1_048_576\nmax_body_bytes = 400_000\nmax_event_bytes = 100_000";

#[test]
fn a_request_beyond_the_budget_is_refused_and_small_ones_are_not() {
    let server = start_server_with(NARROW);
    server.post_example();
    let large = || feed(&server, BATCH).header("content-length", "400000");
    let held = [begin(&server, &large(), b"[ "), begin(&server, &large(), b"[ ")];
    eventually("both are in flight", || server.metric(IN_FLIGHT) == 800_000.0);

    let refused = answer(begin(&server, &large(), b""));
    assert_eq!((refused.status, refused.problem().as_str(), refused.header("retry-after")), (503, "busy", "1"));
    let growing = feed(&server, BATCH).header("transfer-encoding", "chunked");
    let body = [chunk(b"["), chunk(&[b' '; 300_000])].concat();
    assert_eq!(answer(begin(&server, &growing, &body)).status, 503, "or while it grows");
    let stream = || begin(&server, &feed(&server, NDJSON).header("content-length", "9"), b"x");
    let open = stream();
    assert_eq!(http::read_head(&mut BufReader::new(open.try_clone().unwrap())).status, 200);
    assert_eq!(answer(stream()).status, 503, "a stream holds memory too");

    server.apply("metadata", &residency(USER, "small", "2026-01-20T00:00:00Z", 44));
    server.consent(USER, &json!({"data_sharing_level": "full"}));

    drop((held, open));
    eventually("what broken connections held is free", || server.metric(IN_FLIGHT) == 0.0);
    let body = format!("[{}]", " ".repeat(399_998));
    assert_eq!(answer(begin(&server, &large(), body.as_bytes())).status, 200);
    eventually("and what was answered", || server.metric(IN_FLIGHT) == 0.0);
}

#[test]
fn bodies_that_grow_at_the_same_time_do_not_wait_for_each_other() {
    let server = start_server_with(NARROW);
    let request = feed(&server, BATCH).header("transfer-encoding", "chunked");
    let parts = [chunk(b"["), chunk(&[b' '; 199_000]), chunk(&[b' '; 199_000]), chunk(b"]"), chunk(b"")];
    let all_posts = Barrier::new(6);
    thread::scope(|scope| {
        let posts: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = begin(&server, &request, &parts[0]);
                    for part in &parts[1..] {
                        all_posts.wait();
                        let _ = stream.write_all(part);
                    }
                    answer(stream).status
                })
            })
            .collect();
        for post in posts {
            assert!(matches!(post.join().unwrap(), 200 | 503));
        }
    });
    eventually("nothing is left", || server.metric(IN_FLIGHT) == 0.0);
}

#[test]
fn a_body_with_a_content_coding_is_refused_before_it_is_read() {
    let server = start_server();
    server.post_example();
    let before = server.own_profile(USER);
    let consent = || {
        let request = Request::new("PUT", format!("{}/consent", profile_path(USER)));
        request.bearer(&server.sign(Token::citizen(USER))).header("content-type", "application/json")
    };
    for request in [feed(&server, SINGLE), feed(&server, BATCH), feed(&server, NDJSON), consent()] {
        // No part of the body is sent.
        let request = request.header("content-encoding", "gzip").header("content-length", "100");
        let refused = answer(begin(&server, &request, b""));
        assert_eq!((refused.status, refused.problem().as_str()), (415, "unsupported-media-type"));
        assert_eq!(refused.header("accept-encoding"), "identity");
    }
    assert_eq!(server.metric("profile_feed_events_total{source=\"metadata\",status=\"rejected\"}"), 0.0);
    assert_eq!(server.own_profile(USER).text(), before.text());
    for coding in ["", "identity", "Identity"] {
        let event = residency(USER, &format!("plain-{coding}"), "2026-01-20T00:00:00Z", 9).to_string();
        let token = server.sign(Token::service("feed:metadata"));
        let request = Request::new("POST", feed_path("metadata")).bearer(&token).header("content-encoding", coding);
        assert_eq!(server.send(request.body(SINGLE, event)).status, 200, "`{coding}`");
    }
}

#[test]
fn a_stream_ends_with_its_token() {
    let server = start_server_with("[auth]\nleeway_s = 0");
    let token = server.sign(Token::service("feed:metadata").with("exp", now() + 2));
    let request = Request::new("POST", feed_path("metadata")).bearer(&token).header("content-type", NDJSON);
    let mut stream = begin(&server, &request.header("transfer-encoding", "chunked"), b"");
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(http::read_head(&mut reader).status, 200);
    let has_ended = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&has_ended);
    let sender = thread::spawn(move || {
        // Lasts so long that only the token can end the stream. The pause bounds the number of events.
        for number in (0..600).take_while(|_| !stop.load(Ordering::Relaxed)) {
            let time = format!("2026-01-10T00:{:02}:{:02}Z", number / 60, number % 60);
            let event = format!("{}\n", residency(USER, &format!("event-{number}"), &time, number % 100));
            if stream.write_all(&chunk(event.as_bytes())).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = stream.write_all(&chunk(b""));
    });
    let lines: Vec<String> = BufReader::new(BodyReader::chunked(reader)).lines().map_while(Result::ok).collect();
    has_ended.store(true, Ordering::Relaxed);
    let total: Value = serde_json::from_str(lines.iter().rfind(|line| !line.is_empty()).unwrap()).unwrap();
    assert_eq!(
        (&total["problem"]["type"], &total["problem"]["status"]),
        (&json!("/problems/invalid-token"), &json!(401))
    );
    let taken = total["applied"].as_u64().unwrap();
    assert!(taken >= 1 && total["total"] == taken, "{total}");
    // Events that were sent after the token expired are not applied.
    let years = server.own_profile(USER).json()["demographics"]["residency_years"].as_u64().unwrap();
    assert_eq!(years, (taken - 1) % 100, "{total}");
    sender.join().unwrap();
}

#[tokio::test]
async fn lists_of_a_live_message_are_bounded() {
    let server = start_server();
    let mut client = LiveClient::open(&server, Token::citizen(USER)).await;
    // Every user in the list counts.
    let users = |count: usize| (0..count).map(|number| format!("usr_{number:012}")).collect::<Vec<_>>();
    for message in [
        json!({"type": "unsubscribe", "user_ids": users(1_025)}),
        json!({"type": "subscribe", "users": [{"user_id": USER}], "fields": vec!["family"; 257]}),
    ] {
        client.send(&message).await;
        let error = client.next().await;
        assert_eq!(error["problem"]["type"], "/problems/invalid-parameter", "{error}");
    }
    client.send(&json!({"type": "unsubscribe", "id": "1", "user_ids": users(1_024)})).await;
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "id": "1"}));
}
