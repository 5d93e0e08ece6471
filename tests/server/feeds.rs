//! Answers to feed requests, in each of the three forms.

use std::io::{BufRead, BufReader, Write};
use std::thread;

use serde_json::{Value, json};

use crate::http::{self, BodyReader, Request};
use crate::test_server::{TestServer, USER, example, feed_path, residency, start_server};
use crate::token::Token;

const NDJSON: &str = "application/x-ndjson";
const BATCH: &str = "application/cloudevents-batch+json";

/// Returns events of one user, each a day later than the one before.
fn days(count: u32) -> Vec<Value> {
    let day = |n: u32| residency(USER, &format!("day-{n}"), &format!("2026-01-{:02}T00:00:00Z", n + 1), n);
    (0..count).map(day).collect()
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn the_answer_to_a_single_event_has_its_outcome() {
    let server = start_server();
    let event = residency(USER, "a", "2026-01-10T00:00:00Z", 5);
    let tally = |answer: http::Response| {
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let first = tally(server.post("metadata", event.to_string()));
    assert_eq!(first, json!({"applied": 1, "unchanged": 0, "duplicates": 0, "busy": 0, "rejected": 0, "results": []}));
    let again = tally(server.post("metadata", event.to_string()));
    assert_eq!(
        (&again["duplicates"], &again["results"]),
        (&json!(1), &json!([{"index": 0, "id": "a", "status": "duplicate", "revision": 1}]))
    );
    let older = tally(server.post("metadata", residency(USER, "b", "2026-01-09T00:00:00Z", 7).to_string()));
    assert_eq!((&older["unchanged"], &older["results"][0]["status"]), (&json!(1), &json!("unchanged")));
    assert_eq!(server.own_profile(USER).json()["demographics"]["residency_years"], 5);
}

#[test]
fn results_hold_what_was_not_applied_or_all_of_it_when_asked() {
    let server = start_server();
    let (good, twin, bad) = (days(1).remove(0), days(1).remove(0), json!({"id": "x"}));
    let token = server.sign(Token::service("feed:metadata"));
    for (form, body) in
        [(BATCH, json!([good, twin, bad]).to_string()), (NDJSON, lines(&[good.clone(), twin.clone(), bad.clone()]))]
    {
        for (prefer, statuses) in [
            ("", &["duplicate", "duplicate", "rejected"][..]),
            ("respond-async, return=representation", &["duplicate", "duplicate", "rejected"]),
        ] {
            // Applies the event first, so that the batch finds only duplicates.
            server.post("metadata", good.to_string());
            let request = Request::new("POST", feed_path("metadata"))
                .bearer(&token)
                .header("prefer", prefer)
                .body(form, body.clone());
            let answer = server.send(request);
            let mut results =
                if form == NDJSON { answer.lines() } else { answer.json()["results"].as_array().unwrap().clone() };
            results.retain(|result| result.get("index").is_some());
            results.sort_by_key(|result| result["index"].as_u64());
            let found: Vec<_> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
            assert_eq!(found, statuses, "{form}, prefer `{prefer}`");
        }
    }
    let fresh = residency(USER, "fresh", "2026-01-19T00:00:00Z", 30);
    let request = |prefer: &str, event: &Value| {
        let request = Request::new("POST", feed_path("metadata")).bearer(&token).header("prefer", prefer);
        server.send(request.body(NDJSON, lines(std::slice::from_ref(event)))).lines()
    };
    assert_eq!(request("return=minimal", &fresh).len(), 1, "what was applied is only counted");
    let newer = residency(USER, "newer", "2026-01-20T00:00:00Z", 31);
    assert_eq!(
        request("return=representation", &newer)[0],
        json!({"index": 0, "id": "newer", "status": "applied", "revision": 3})
    );
}

#[test]
fn a_stream_keeps_the_order_of_its_events() {
    let server = start_server();
    let events = days(20);
    let token = server.sign(Token::service("feed:metadata"));
    let request = Request::new("POST", feed_path("metadata")).bearer(&token).header("prefer", "return=representation");
    let mut results = server.send(request.body(NDJSON, lines(&events))).lines();
    assert_eq!(results.pop().unwrap()["applied"], 20, "each was younger than the one before it");
    for (index, result) in results.iter().enumerate() {
        assert_eq!((&result["index"], &result["revision"]), (&json!(index), &json!(index + 1)), "{result}");
    }
}

#[test]
fn a_stream_reports_its_progress() {
    let server = start_server();
    let junk = "{\"id\":\"x\"}\n".repeat(25_000);
    let lines = server.post_as("metadata", NDJSON, junk).lines();
    let progress: Vec<_> = lines.iter().filter_map(|line| line["progress"].as_u64()).collect();
    assert_eq!(progress.iter().map(|count| count / 10_000).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(lines.iter().filter(|line| line["status"] == "rejected").count(), 25_000);
    assert_eq!(lines.last().unwrap()["total"], 25_000);
}

#[test]
fn a_client_that_waits_for_each_result_gets_it_before_it_sends_the_next() {
    let server = start_server();
    let (mut write, read) = open_stream(&server, "metadata");
    let mut read = BufReader::new(BodyReader::chunked(read));
    for (index, event) in days(5).iter().enumerate() {
        send_chunk(&mut write, &lines(std::slice::from_ref(event)));
        let mut line = String::new();
        read.read_line(&mut line).unwrap();
        let result: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&result["index"], &result["status"]), (&json!(index), &json!("applied")));
    }
    send_chunk(&mut write, "");
    let mut line = String::new();
    read.read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["applied"], 5);
}

/// Begins a chunked stream of events and requests every result.
fn open_stream(server: &TestServer, source: &str) -> (std::net::TcpStream, BufReader<std::net::TcpStream>) {
    let request =
        Request::new("POST", feed_path(source)).bearer(&server.sign(Token::service(&format!("feed:{source}"))));
    let request = request
        .header("prefer", "return=representation")
        .header("content-type", NDJSON)
        .header("transfer-encoding", "chunked");
    let mut write = http::connect(server.listen);
    write.write_all(request.head().as_bytes()).unwrap();
    let mut read = BufReader::new(write.try_clone().unwrap());
    assert_eq!(http::read_head(&mut read).status, 200);
    (write, read)
}

fn send_chunk(write: &mut impl Write, text: &str) {
    write.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
}

#[test]
fn a_client_that_sends_a_million_lines_before_it_reads_does_not_hang() {
    const LINES: usize = 1_000_000;
    // Dead letters go to sled, whose page cache has a fixed limit.
    let server = crate::test_server::start_server_with("[store]\nsled_cache_bytes = 1_048_576");
    server.post_example();
    let before = server.resident_bytes();
    // Most are rejected, so that the answers are longer than the events; each thousandth is applied or a duplicate.
    let mut block = "{\"id\":\"junk\"}\n".repeat(999);
    block.push_str(&lines(&days(1)));
    let token = server.sign(Token::service("feed:metadata"));
    let head = Request::new("POST", feed_path("metadata")).bearer(&token).header("content-type", NDJSON);
    let head = head.header("content-length", (block.len() * LINES / 1_000).to_string()).head();
    let mut write = http::connect(server.listen);
    write.write_all(head.as_bytes()).unwrap();
    for _ in 0..LINES / 1_000 {
        write.write_all(block.as_bytes()).expect("the server goes on reading");
    }
    let held = server.resident_bytes().saturating_sub(before);
    assert!(held < 96 << 20, "{held} bytes more are held while nothing is read");
    let mut read = BufReader::new(write);
    assert_eq!(http::read_head(&mut read).status, 200);
    let (mut rejected, mut last) = (0, String::new());
    for line in BufReader::new(BodyReader::chunked(read)).lines().map_while(Result::ok).filter(|line| !line.is_empty())
    {
        rejected += usize::from(line.contains("\"status\":\"rejected\""));
        last = line;
    }
    let total: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        (rejected, &total["total"], &total["rejected"]),
        (LINES / 1_000 * 999, &json!(LINES), &json!(rejected)),
        "{total}"
    );
    let spooled = std::fs::read_dir(server.data_dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!spooled.into_iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "the spool has no name");
}

#[test]
fn a_client_that_disconnects_affects_no_other() {
    let server = start_server();
    let (mut write, read) = open_stream(&server, "metadata");
    send_chunk(&mut write, &lines(&days(3)));
    drop((write, read));
    crate::test_server::eventually("what was sent is applied", || {
        server.get(&format!("/api/v2/profile/{USER}"), Token::citizen(USER)).status == 200
    });
    assert_eq!(server.post("metadata", days(4).remove(3).to_string()).status, 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    let server = crate::test_server::start_server_with("[http]\nclient_body_timeout_s = 1");
    let (mut write, read) = open_stream(&server, "metadata");
    send_chunk(&mut write, &lines(&days(2)));
    let mut found = Vec::new();
    for line in BufReader::new(BodyReader::chunked(read)).lines().map_while(Result::ok).filter(|line| !line.is_empty())
    {
        found.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    let last = found.pop().unwrap();
    assert_eq!((found.len(), &last["applied"], &last["problem"]["status"]), (2, &json!(2), &json!(408)), "{last}");

    let token = server.sign(Token::service("feed:metadata"));
    let request = Request::new("POST", feed_path("metadata")).bearer(&token);
    let request = request.header("content-type", "application/cloudevents+json").header("content-length", "100");
    let mut stream = http::connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    let answer = http::read_response(&mut BufReader::new(stream), true);
    assert_eq!((answer.status, answer.problem().as_str()), (408, "request-timeout"));
}

#[test]
fn several_feeds_at_once_agree_on_one_profile() {
    let server = start_server();
    thread::scope(|scope| {
        for (source, event) in example() {
            let server = &server;
            scope.spawn(move || assert_eq!(server.post(&source, event.to_string()).status, 200));
        }
    });
    let parallel = server.own_profile(USER).json();
    let other = start_server();
    other.post_example();
    let serial = other.own_profile(USER).json();
    for (member, value) in serial.as_object().unwrap() {
        if !["assembly_latency_ms", "generated_at", "profile_hash", "profile_id", "revision"].contains(&member.as_str())
        {
            assert_eq!(&parallel[member], value, "{member}");
        }
    }
}
