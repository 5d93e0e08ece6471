//! Streams: subscribers over sockets and Server-Sent Events, and followers of all changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::people::{Fate, PEOPLE, markers, number_of, user};
use crate::follower::Follower;
use crate::http::{BodyReader, Request, connect, read_head};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, profile_path};
use crate::token::Token;

/// Returns who is erased in the test.
fn erased() -> impl Iterator<Item = usize> {
    (0..PEOPLE).filter(|number| Fate::of(*number) != Fate::Stays)
}

/// Subscribes to some people over a socket and reads until all of them who are erased have been reported so. No frame about
/// somebody comes after `erased`. A socket that is `slow` reads nothing until the flag is set. Calls `ready` when it has
/// subscribed.
pub(super) fn subscribe(
    server: &TestServer,
    token: Token,
    people: &[usize],
    slow: Option<&AtomicBool>,
    ready: impl FnOnce(),
) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = LiveClient::open(server, token).await;
        let users: Vec<String> = people.iter().map(|number| user(*number)).collect();
        client.subscribe(&users.iter().map(String::as_str).collect::<Vec<_>>(), None).await;
        for _ in people {
            while client.receive().await.unwrap()["type"] != "profile" {}
        }
        ready();
        while slow.is_some_and(|go_on| !go_on.load(Ordering::Acquire)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let expected: BTreeSet<_> = erased().filter(|number| people.contains(number)).collect();
        let (mut gone, mut frames) = (BTreeSet::new(), 0);
        let mut check = |frame: &Value| {
            let Some(number) = frame["user_id"].as_str().map(number_of) else { return false };
            assert!(!gone.contains(&number), "a frame after `erased`: {frame}");
            assert!(
                markers(frame.to_string().as_bytes()).iter().all(|(of, life)| (*of, *life) == (number, 1)),
                "{frame}"
            );
            match frame["type"].as_str().unwrap() {
                "erased" => drop(gone.insert(number)),
                kind => assert!(matches!(kind, "profile" | "patch"), "{frame}"),
            }
            gone == expected
        };
        while !check(&client.receive().await.expect("no close")) {
            frames += 1;
        }
        // Whatever was sent meanwhile comes before the pong.
        client.send(&json!({"type": "ping"})).await;
        loop {
            let frame = client.receive().await.expect("no close");
            if frame["type"] == "pong" {
                return frames;
            }
            check(&frame);
        }
    })
}

/// Follows one person, who is erased, as Server-Sent Events. The stream ends with `erased`.
pub(super) fn listen(server: &TestServer, number: usize, ready: impl FnOnce()) {
    let path = format!("{}/events", profile_path(&user(number)));
    let mut stream = connect(server.listen);
    let request = Request::new("GET", path).bearer(&server.sign(Token::citizen(&user(number))));
    stream.write_all(request.head().as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream);
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"), "{head:?}");
    let (mut ready, mut is_erased) = (Some(ready), false);
    for line in BufReader::new(BodyReader::chunked(stream)).lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some(("event", kind)) => {
                assert!(!is_erased, "an event after `erased`: {kind}");
                is_erased = kind == "erased";
                if let Some(ready) = ready.take() {
                    ready();
                }
            }
            Some(("data", data)) => assert!(!is_erased || markers(data.as_bytes()).is_empty(), "{data}"),
            _ => {}
        }
    }
    assert!(is_erased, "the stream of {number} ends without `erased`");
}

/// Follows the changes of everybody until all erasures were reported, each once. Nothing of a life comes after its end.
/// Passes the text of each event on. Returns the number of events.
pub(super) fn follow(
    server: &TestServer,
    token: Token,
    query: &str,
    check: &dyn Fn(&[u8]),
    ready: impl FnOnce(),
) -> usize {
    let mut follower = Follower::open(server, token, query);
    ready();
    let expected: u32 = (0..PEOPLE).map(|number| Fate::of(number).erasures()).sum();
    let mut ended = BTreeMap::<usize, u32>::new();
    let (mut count, mut erasures) = (0, 0);
    while erasures < expected {
        let event = follower.next().expect("the stream goes on");
        count += 1;
        check(event.text.as_bytes());
        let number = number_of(event.event["subject"].as_str().unwrap());
        if event.kind == "profile.erased" {
            let life = u32::try_from(event.event["data"]["erasure_generation"].as_u64().unwrap()).unwrap();
            assert_eq!(ended.insert(number, life).map_or(1, |before| before + 1), life, "{}", event.text);
            follower.held.remove(event.event["subject"].as_str().unwrap());
            erasures += 1;
            continue;
        }
        let found = markers(event.text.as_bytes());
        let is_alive = |(of, life): &(usize, u32)| *of == number && ended.get(of).is_none_or(|ended| life > ended);
        assert!(found.iter().all(is_alive), "something of an erased life: {}", event.text);
    }
    count
}
