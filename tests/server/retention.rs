//! Retention of journal and dead letters: by the real clock and within bounds; file permissions of the data.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::follower::{Follower, request};
use crate::test_server::{self, TestServer, residency, start_server_with};
use crate::token::Token;

const LETTER_BYTES: &str = "profile_store_bytes{tree=\"dead_letters\"}";

#[test]
fn an_event_that_is_rejected_beyond_the_bound_says_that_it_is_not_kept() {
    let server = start_server_with("[dead_letters]\nmax_bytes_per_source = 20000\n");
    let bad = |number: usize| json!({"id": format!("bad-{number}"), "note": "x".repeat(500)}).to_string();
    let lines: String = (0..200).map(|number| bad(number) + "\n").collect();
    let answer = server.post_as("metadata", "application/x-ndjson", lines);
    assert_eq!(answer.status, 200);
    let results: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rejected: Vec<_> = results.iter().filter(|line| line["status"] == "rejected").collect();
    assert_eq!(rejected.len(), 200);
    let dropped = |line: &&&Value| line["problem"]["dead_letter"] == "dropped";
    let kept = rejected.iter().filter(|line| !dropped(line)).count();
    assert!((5..100).contains(&kept), "{kept} letters in 20,000 bytes");
    assert!(rejected.iter().filter(dropped).all(|line| line["problem"]["dead_letter_reason"] == "source-limit"));
    assert!(rejected[0]["problem"].get("dead_letter").is_none());

    // The answer to a single event says so, too. Written letters may take less space than was reserved for them.
    let single = |_| server.post("metadata", bad(1)).json();
    let single = (0..500).map(single).find(|problem| problem.get("dead_letter").is_some()).unwrap();
    assert_eq!((&single["dead_letter"], &single["dead_letter_reason"]), (&json!("dropped"), &json!("source-limit")));
    // Another source has its own bound.
    assert!(server.post("identity", bad(1)).json().get("dead_letter").is_none());
    test_server::eventually("the letters are written", || {
        let bytes = server.metric(LETTER_BYTES);
        bytes > 1_000.0 && bytes <= 40_000.0
    });
}

fn sled_bytes(server: &TestServer) -> f64 {
    server.metric("profile_store_bytes{tree=\"sled\"}")
}

#[test]
fn letters_alone_show_in_the_size_of_the_store() {
    let server = start_server_with("[checkpoint]\ninterval_s = 1\n");
    let before = sled_bytes(&server);
    // Letters that hardly compress. Digits could be read as an identity number, and then no body is kept.
    let word = |n: u64| {
        let bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..16).map(move |place| char::from(b'a' + (bits >> (4 * place)) as u8 % 16))
    };
    let note = |line: u64| (0..1_500).flat_map(|n| word(line * 1_500 + n)).collect::<String>();
    let lines: String = (0..200).map(|line| json!({"note": note(line)}).to_string() + "\n").collect();
    assert_eq!(server.post_as("metadata", "application/x-ndjson", lines).status, 200);
    test_server::eventually("the checkpoint without a user measures", || sled_bytes(&server) > before + 1_000_000.0);
}

#[test]
fn a_fixed_clock_makes_nothing_old() {
    let data_dir = TempDir::new().unwrap();
    let settings = "[journal]\nsegment_mib = 1\n[http]\nmax_event_bytes = 262144\n[checkpoint]\ninterval_s = 1\n";
    fs::write(data_dir.path().join("config.local.toml"), settings).unwrap();
    let server = test_server::start_at(data_dir, "2040-01-01T00:00:00Z");
    let service = || Token::service("events:read profile:read");
    let begin = Follower::open(&server, service(), "cursor=oldest").cursor;
    let event = |user: u32, minute: u32| {
        let (id, time) = (format!("e-{minute}"), format!("2026-01-10T00:{minute:02}:00Z"));
        residency(&format!("usr_Resident{:08}", minute * 6_000 + user), &id, &time, 5).to_string() + "\n"
    };
    let events = |minute| (0..6_000).map(|user| event(user, minute)).collect::<String>();
    let before = sled_bytes(&server);
    assert_eq!(server.post_as("metadata", "application/x-ndjson", events(0)).status, 200);
    test_server::eventually("a checkpoint has the events", || sled_bytes(&server) > before + 500_000.0);
    // Later checkpoints remove old segments, so the test waits for two more.
    for minute in 1..3 {
        let before = sled_bytes(&server);
        assert_eq!(server.post_as("metadata", "application/x-ndjson", events(minute)).status, 200);
        test_server::eventually("another checkpoint", || sled_bytes(&server) > before + 500_000.0);
    }
    let follower = Follower::try_open(&server, request(&server, service(), &format!("cursor={begin}")));
    assert!(follower.is_ok(), "the journal of a moment ago is there");
}

/// Returns the files below a directory that other users may read or write.
fn open_to_others(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        if mode & 0o077 != 0 {
            found.push(format!("{} {mode:o}", path.display()));
        }
        if path.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn neither_files_nor_core_dumps_are_for_others() {
    let server = start_server_with("[checkpoint]\ninterval_s = 1\n");
    server.post_example();
    let own = ["config.local.toml", "limits.toml", "test.log"]
        .map(|name| server.data_dir.path().join(name).display().to_string());
    let found = open_to_others(server.data_dir.path());
    let others: Vec<_> = found.iter().filter(|line| !own.iter().any(|own| line.starts_with(own.as_str()))).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(server.limit("Max core file size")[0], "0");
}
