//! Load from feeds must neither starve a citizen's own writes and reads nor reveal which users it concerns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::test_server::{TestServer, USER, profile_path, residency, start_server_with};
use crate::token::Token;

/// Limits that the feeds exhaust at once.
const TINY: &str = "
[actors]
mailbox_capacity = 1
commit_permits = 1
hydration_queue = 1
waiting_bytes = 1_048_576
[commit]
queue_capacity = 1
max_group = 1
permit_bytes = 1_048_576
";

/// Ends the streams when dropped, also after a failed assertion.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `beside` while six streams post events of one user as fast as the server accepts them.
fn beside_six_streams(server: &TestServer, user: &str, beside: impl FnOnce()) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for stream in 0..6 {
            let (server, ended) = (&server, &ended);
            scope.spawn(move || {
                for round in 0.. {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    let event = |n: u32| {
                        let time = format!("2026-01-2{}T{:02}:{:02}:00Z", round % 2, n / 60, n % 60);
                        residency(user, &format!("{stream}-{round}-{n}"), &time, n % 90).to_string()
                    };
                    let body = (0..200).map(event).collect::<Vec<_>>().join("\n");
                    server.post_as("metadata", "application/x-ndjson", body);
                }
            });
        }
        let _stop = Stop(&ended);
        beside();
    });
}

#[test]
fn streams_about_one_user_refuse_neither_consent_nor_reads() {
    let server = start_server_with(TINY);
    server.post_example();
    beside_six_streams(&server, USER, || {
        for round in 0..40 {
            let level = ["minimal", "standard", "full"][round % 3];
            server.consent(USER, &json!({"data_sharing_level": level}));
            let own = server.own_profile(USER).json();
            assert_eq!(own["consent"]["data_sharing_level"], level, "acknowledged values are read");
            for path in [profile_path(USER), format!("{}/completeness", profile_path(USER))] {
                let answer = server.get(&path, Token::service("profile:read"));
                assert_ne!(answer.status, 503, "{answer:?}");
            }
        }
        assert!(server.metric("profile_mailbox_rejected_total") > 0.0, "the streams are held up");
    });
}

#[test]
fn a_hidden_user_who_is_fed_is_answered_like_an_unknown_one() {
    let server = start_server_with(TINY);
    server.post_example();
    beside_six_streams(&server, USER, || {
        for round in 0..20 {
            for user in [USER.to_owned(), format!("usr_NobodyAtAll{round:03}")] {
                for path in [profile_path(&user), format!("{}/completeness", profile_path(&user))] {
                    let answer = server.get(&path, Token::service("profile:read third_party"));
                    assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"), "{user}");
                }
                let path = format!("{}/events", profile_path(&user));
                let answer = server.get(&path, Token::service("profile:read third_party"));
                assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"), "{user}");
            }
        }
        assert!(server.metric("profile_mailbox_rejected_total") > 0.0, "the streams are held up");
    });
}
