//! Pipelining: requests that are sent before the responses to earlier ones have arrived.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::http::{Request, connect, read_response};
use crate::test_server::{USER, feed_path, profile_path, residency, start_server};
use crate::token::Token;
use crate::unread::nothing_is_held;

#[test]
fn every_request_of_a_pipeline_is_answered_in_its_turn() {
    let server = start_server();
    server.post_example();
    let feeder = server.sign(Token::service("feed:metadata"));
    let own = server.sign(Token::citizen(USER));
    // Posts wait for their user's actor, reads do not.
    let years: Vec<u32> = (0..200).map(|index| index % 90).collect();
    let mut requests = Vec::new();
    for (index, years) in years.iter().enumerate() {
        let time = format!("2026-01-16T10:{:02}:{:02}Z", index / 60, index % 60);
        let event = residency(USER, &format!("pipelined-{index}"), &time, *years);
        let post = Request::new("POST", feed_path("metadata"))
            .bearer(&feeder)
            .body("application/cloudevents+json", event.to_string());
        requests.extend([post, Request::new("GET", profile_path(USER)).bearer(&own)]);
    }
    let sent: Vec<u8> =
        requests.iter().flat_map(|request| [request.head().as_bytes(), request.content()].concat()).collect();
    let years_of_last = years[years.len() - 1];
    let mut is_first = true;
    for piece in [sent.len(), 10_000, 700] {
        let mut stream = connect(server.listen);
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let sent = sent.clone();
        let sending = thread::spawn(move || sent.chunks(piece).for_each(|piece| stream.write_all(piece).unwrap()));
        for (index, years) in years.iter().enumerate() {
            assert_eq!(read_response(&mut answers, true).status, 200, "event {index} in pieces of {piece}");
            let profile = read_response(&mut answers, true).json();
            // A repeated post is a duplicate, so the last event wins.
            let wanted = if is_first { *years } else { years_of_last };
            assert_eq!(profile["demographics"]["residency_years"], wanted, "after event {index} in pieces of {piece}");
        }
        sending.join().unwrap();
        is_first = false;
    }
    // Many requests arrive at once after one that must wait, and no later data can wake the server.
    let event = residency(USER, "first-of-many", "2026-01-16T11:00:00Z", 3).to_string();
    let post = Request::new("POST", feed_path("metadata")).bearer(&feeder).body("application/cloudevents+json", event);
    let mut sent = [post.head().as_bytes(), post.content()].concat();
    sent.extend(Request::new("GET", "/health/live").head().repeat(100).into_bytes());
    let mut stream = connect(server.listen);
    stream.write_all(&sent).unwrap();
    let mut answers = BufReader::new(stream);
    assert!((0..=100).all(|_| read_response(&mut answers, true).status == 200));
}

/// Reads `count` responses to GET requests, then the end of the connection.
fn expect_answers(mut stream: TcpStream, count: usize) {
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answers = BufReader::new(&mut stream);
    assert!((0..count).all(|_| read_response(&mut answers, true).status == 200));
    assert_eq!(answers.read(&mut [0]).unwrap(), 0, "nothing else is sent");
}

#[test]
fn requests_behind_a_body_are_answered_when_it_has_ended_and_only_then() {
    const BEHIND: usize = 100;
    let server = start_server();
    let feeder = server.sign(Token::service("feed:metadata"));
    let event = residency(USER, "behind", "2026-01-16T11:00:00Z", 3).to_string();
    let (begun, rest) = event.split_at(event.len() / 2);
    let accepted = Request::new("POST", feed_path("metadata"))
        .bearer(&feeder)
        .body("application/cloudevents+json", event.as_str());
    let refused = Request::new("POST", "/nope").body("text/plain", event.as_str());
    let behind = Request::new("GET", "/health/live").head().repeat(BEHIND);
    let status = |stream: &TcpStream| read_response(&mut BufReader::new(stream), true).status;
    let send = |stream: &mut TcpStream, parts: &[&str]| stream.write_all(parts.concat().as_bytes()).unwrap();

    // The body arrives late, and all other requests together with its end.
    let mut stream = connect(server.listen);
    send(&mut stream, &[&accepted.head(), begun]);
    server.wait_until_at_rest();
    send(&mut stream, &[rest]);
    assert_eq!(status(&stream), 200);
    send(&mut stream, &[&accepted.head(), begun]);
    server.wait_until_at_rest();
    send(&mut stream, &[rest, &behind]);
    expect_answers(stream, 1 + BEHIND);

    // The body of a refused request has arrived completely and is skipped.
    let mut stream = connect(server.listen);
    send(&mut stream, &[&refused.head(), &event, &behind]);
    let mut answers = BufReader::new(&stream);
    assert_eq!(read_response(&mut answers, true).status, 404);
    assert!((0..BEHIND).all(|_| read_response(&mut answers, true).status == 200));
    drop(stream);

    // The body is incomplete: the connection ends, and nothing after the body is read as a request.
    let mut stream = connect(server.listen);
    send(&mut stream, &[&refused.head(), begun]);
    assert_eq!(status(&stream), 404);
    send(&mut stream, &[rest, &behind]);
    expect_answers(stream, 0);
    nothing_is_held(&server);
}
