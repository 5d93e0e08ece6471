//! Overload: a full system answers `busy` and keeps everything that it acknowledged.

use std::sync::Mutex;
use std::thread;

use serde_json::json;

use crate::http::Response;
use crate::test_server::{TestServer, residency, start_server_with};

const TINY: &str = "
[actors]
mailbox_capacity = 1
commit_permits = 1
hydration_queue = 1
[commit]
queue_capacity = 1
max_group = 1
";

fn user(number: usize) -> String {
    format!("usr_Overload{number:06}")
}

#[test]
fn a_full_system_answers_busy_and_keeps_what_it_acknowledged() {
    let server = start_server_with(TINY);
    let acknowledged = Mutex::new(Vec::new());
    let busy = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for thread in 0..32 {
            let (server, acknowledged, busy) = (&server, &acknowledged, &busy);
            scope.spawn(move || {
                for round in 0..20 {
                    let number = thread % 8 * 100 + round;
                    let answer = post(server, number);
                    match answer.status {
                        200 => acknowledged.lock().unwrap().push(number),
                        _ => busy.lock().unwrap().push(answer),
                    }
                }
            });
        }
    });
    let busy = busy.into_inner().unwrap();
    assert!(!busy.is_empty(), "nothing was full");
    for answer in &busy {
        assert_eq!((answer.status, answer.problem().as_str(), answer.header("retry-after")), (503, "busy", "1"));
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty());
    for number in acknowledged {
        assert_eq!(server.own_profile(&user(number)).json()["demographics"]["residency_years"], number % 100);
    }
    // Afterwards the refused requests succeed.
    for number in 0..20 {
        crate::test_server::eventually("a place is free", || post(&server, number).status == 200);
    }
}

fn post(server: &TestServer, number: usize) -> Response {
    let years = u32::try_from(number % 100).unwrap();
    server.post("metadata", residency(&user(number), "one", "2026-01-10T00:00:00Z", years).to_string())
}

#[test]
fn a_stream_is_read_slower_instead() {
    let server = start_server_with(TINY);
    let events: Vec<_> = (0..500).map(|number| residency(&user(number), "one", "2026-01-10T00:00:00Z", 7)).collect();
    let body: String = events.iter().map(|event| format!("{event}\n")).collect();
    let total = server.post_as("metadata", "application/x-ndjson", body.clone()).lines().pop().unwrap();
    assert_eq!((&total["total"], &total["rejected"]), (&json!(500), &json!(0)), "{total}");
    assert!(total["applied"].as_u64() > Some(400), "{total}");
    // Events that were answered `busy` may be sent again, together with the others.
    crate::test_server::eventually("all of it is taken", || {
        let total = server.post_as("metadata", "application/x-ndjson", body.clone()).lines().pop().unwrap();
        total["duplicates"] == 500
    });
    assert_eq!(server.own_profile(&user(499)).json()["demographics"]["residency_years"], 7);
}
