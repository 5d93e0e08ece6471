//! The stream of the changes of all users, `GET /api/v2/events`.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::follower::{Follower, read_lines, refused, request};
use crate::test_server::{
    self, TestServer, USER, example, profile_path, residency, signal, start_server, start_server_with,
};
use crate::token::{Token, now};

fn service() -> Token {
    Token::service("events:read profile:read")
}

fn admin() -> Token {
    Token::new("admin", "adm:test", "events:read profile:read")
}

/// Returns callers that may follow all users, each with another mask.
fn viewers() -> [Token; 4] {
    let scopes = ["profile:read", "profile:read ai_context", "profile:read third_party"];
    let [plain, context, third] = scopes.map(|scopes| Token::service(&format!("events:read {scopes}")));
    [plain, context, third, admin()]
}

/// Gives `user` the example citizen's events, in another order for each user.
fn populate(server: &TestServer, user: &str, turn: usize) {
    let mut events = example();
    let middle = turn % events.len();
    events.rotate_left(middle);
    for (source, mut event) in events {
        event["subject"] = json!(user);
        let answer = server.post(&source, event.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn revision(server: &TestServer, user: &str) -> u64 {
    server.own_profile(user).json()["revision"].as_u64().unwrap()
}

/// Checks that the documents built from patches are what the caller reads, byte for byte.
#[track_caller]
fn holds_what_it_reads(server: &TestServer, follower: &Follower, token: &Token, users: &[String]) {
    for user in users {
        let request = crate::http::Request::new("GET", profile_path(user)).bearer(&server.sign(token.clone()));
        let answer = server.send(request.header("x-access-reason", "a test"));
        let held = follower.held.get(user);
        if answer.status == 404 {
            assert!(held.is_none_or(|held| *held == json!({})), "{held:?}");
        } else {
            assert_eq!(held, Some(&answer.json()));
            assert_eq!(serde_json_canonicalizer::to_vec(&held).unwrap(), answer.body);
        }
    }
}

/// A user who is visible to all [`viewers`]; its change is the last of a test.
const MARKER: &str = "usr_MarkerOfTheEnd";

/// Posts a last event that every caller receives, and returns its revision.
fn mark_end(server: &TestServer) -> u64 {
    let (source, mut event) = example().swap_remove(0);
    event["subject"] = json!(MARKER);
    server.post(&source, event.to_string());
    server.consent(MARKER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    revision(server, MARKER)
}

#[test]
fn the_patches_of_all_users_give_each_caller_exactly_what_it_reads() {
    let server = start_server_with("[events]\nmax_followers_per_caller = 16\n");
    let users: Vec<String> = (0..6).map(|number| format!("usr_Follower{number:04}")).collect();
    let consents = [
        json!({"data_sharing_level": "full", "third_party_sharing": true}),
        json!({"data_sharing_level": "standard"}),
        json!({"data_sharing_level": "minimal", "third_party_sharing": false}),
        json!({"data_sharing_level": "standard", "third_party_sharing": true}),
    ];
    let mut live = viewers().map(|token| Follower::open(&server, token, ""));
    for (turn, user) in users.iter().enumerate() {
        populate(&server, user, turn);
        for (step, consent) in consents.iter().cycle().skip(turn).take(1 + turn).enumerate() {
            server.consent(user, consent);
            let event = residency(user, &format!("{turn}-{step}"), &format!("2026-01-21T11:00:0{step}Z"), step as u32);
            server.apply("metadata", &event);
        }
    }
    let end = mark_end(&server);
    for (token, follower) in viewers().into_iter().zip(&mut live) {
        let mut late = Follower::open(&server, token.clone(), "cursor=oldest");
        for follower in [follower, &mut late] {
            follower.read_to(MARKER, end);
            holds_what_it_reads(&server, follower, &token, &users);
        }
    }
}

#[test]
fn an_event_has_the_members_of_the_contract_and_is_repeatable() {
    let server = start_server();
    server.post_example();
    let end = mark_end(&server);
    let received = |token| Follower::open(&server, token, "cursor=oldest").read_to(MARKER, end);
    let events = received(admin());
    let of = |kind: &str| {
        let last = events.iter().rev().find(|event| event.kind == kind && event.event["subject"] == USER);
        last.unwrap().event.clone()
    };
    let own = server.own_profile(USER).json();
    let assembled = of("profile.assembled");
    assert_eq!(assembled["time"], own["generated_at"]);
    let data = &assembled["data"];
    assert_eq!((&data["revision"], &data["profile_hash"]), (&own["revision"], &own["profile_hash"]));
    assert_eq!((&data["schema_version"], &data["user_id"]), (&json!("2.0"), &json!(USER)));
    assert_eq!(data["completeness_pct"], own["profile_completeness_pct"]);
    assert!(data["changed_sections"].as_array().unwrap().iter().all(Value::is_string));
    let delta = of("profile.delta.generated");
    assert_eq!(delta["data"]["base_revision"].as_u64().unwrap() + 1, own["revision"].as_u64().unwrap());
    assert!(delta["data"]["patch_id"].as_str().unwrap().starts_with("patch_"));
    let completeness = of("profile.completeness.changed");
    assert_eq!(completeness["data"]["new_pct"], own["profile_completeness_pct"]);
    assert_ne!(completeness["data"]["old_pct"], completeness["data"]["new_pct"]);

    // A second request receives the same bytes except for the cursor, and all ids of events differ.
    let texts = |events: &[crate::follower::Event]| {
        events.iter().map(|event| event.text.replace(&event.cursor, "")).collect::<Vec<_>>()
    };
    assert_eq!(texts(&received(admin())), texts(&events));
    let mut ids: Vec<_> = events.iter().map(|event| event.event["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
    // Ids do not depend on values that a mask hides.
    let seen = received(service());
    let shared = seen.iter().filter(|seen| events.iter().any(|event| event.event["id"] == seen.event["id"]));
    assert_eq!(shared.count(), seen.len());
}

#[test]
fn what_was_withdrawn_is_found_nowhere_in_the_past() {
    let server = start_server_with("[events]\nmax_followers_per_caller = 16\n");
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let own = server.own_profile(USER).text().to_owned();
    let third = || Token::service("events:read profile:read third_party");
    let (mut live, mut live_third) =
        (Follower::open(&server, service(), "cursor=oldest"), Follower::open(&server, third(), "cursor=oldest"));
    live_third.read_to(USER, revision(&server, USER));
    let before = live.read_to(USER, revision(&server, USER));
    // Strings that occur nowhere else in an event.
    let secrets = ["5L-10L", "PM-KISAN", "pm_kisan", "mysuru", "employment_type", "eligible_schemes"];
    let secrets: Vec<_> = secrets.into_iter().filter(|secret| own.contains(secret)).collect();
    assert!(secrets.len() > 2, "{own}");
    let found =
        |events: &[crate::follower::Event], secret: &str| events.iter().any(|event| event.text.contains(secret));
    assert!(secrets.iter().all(|secret| found(&before, secret)), "the values were visible");

    server.consent(USER, &json!({"data_sharing_level": "minimal", "third_party_sharing": false}));
    let end = mark_end(&server);
    let after = live.read_to(MARKER, end);
    let late = Follower::open(&server, service(), "cursor=oldest").read_to(MARKER, end);
    let again = Follower::open(&server, service(), &format!("cursor={}", before[2].cursor)).read_to(MARKER, end);
    for secret in secrets {
        for events in [&after, &late, &again] {
            assert!(!found(events, secret), "{secret}");
        }
    }
    holds_what_it_reads(&server, &live, &service(), &[USER.to_owned()]);
    let of_user = |events: Vec<crate::follower::Event>| -> Vec<crate::follower::Event> {
        events.into_iter().filter(|event| event.event["subject"] == USER).collect()
    };
    // A follower that knew the user receives the removal once, also when it resumes.
    let received = of_user(live_third.resume(&server, third()).read_to(MARKER, end));
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].event["data"]["operations"], json!([{"op": "replace", "path": "", "value": {}}]));
    // A new follower receives nothing about the user.
    let newcomer = Follower::open(&server, third(), "cursor=oldest");
    let cursor = newcomer.cursor.clone();
    let received = of_user({ newcomer }.read_to(MARKER, end));
    assert!(received.is_empty(), "{received:?}");
    // Neither does a follower that was disconnected while the user was visible for a time.
    let away = "usr_CameAndWent01";
    server.apply("metadata", &residency(away, "a", "2026-01-21T11:00:00Z", 3));
    server.consent(away, &json!({"third_party_sharing": true}));
    server.apply("metadata", &residency(away, "b", "2026-01-21T12:00:00Z", 4));
    server.consent(away, &json!({"third_party_sharing": false}));
    server.consent(MARKER, &json!({"data_sharing_level": "standard"}));
    let end = revision(&server, MARKER);
    let received = Follower::open(&server, third(), &format!("cursor={cursor}")).read_to(MARKER, end);
    assert!(!received.iter().any(|event| event.text.contains(away)), "{received:?}");
    assert!(received.iter().any(|event| event.text.contains(MARKER)), "events of other users arrive");
}

/// Kills a server without warning and starts another on its data.
fn kill_and_start(mut server: TestServer, settings: &str) -> TestServer {
    signal(server.pid(), "KILL");
    let data_dir = std::mem::replace(&mut server.data_dir, TempDir::new().unwrap());
    drop(server);
    std::fs::write(data_dir.path().join("config.local.toml"), settings).unwrap();
    test_server::start_on(data_dir)
}

#[test]
fn a_follower_misses_nothing_over_kills_and_is_never_ahead_of_reads() {
    let mut server = start_server();
    let users: Vec<String> = (0..4).map(|number| format!("usr_Follower{number:04}")).collect();
    let mut follower = Follower::open(&server, admin(), "cursor=oldest");
    for round in 0..4 {
        thread::scope(|scope| {
            for (number, user) in users.iter().enumerate() {
                let server = &server;
                scope.spawn(move || {
                    for step in 0..25 {
                        let time = format!("2026-01-21T0{round}:{step:02}:00Z");
                        server.apply(
                            "metadata",
                            &residency(user, &format!("{round}-{step}"), &time, step + number as u32),
                        );
                    }
                });
            }
        });
        let mut events = 0;
        while events < 60 {
            let event = follower.next().expect("the stream goes on");
            if event.kind == "profile.delta.generated" {
                events += 1;
                let received = event.event["data"]["revision"].as_u64().unwrap();
                let read = revision(&server, event.event["subject"].as_str().unwrap());
                assert!(read >= received, "revision {received} was received, and {read} is read");
            }
        }
        server = kill_and_start(server, "");
        follower = follower.resume(&server, admin());
    }
    for user in &users {
        follower.read_to(user, revision(&server, user));
    }
    holds_what_it_reads(&server, &follower, &admin(), &users);
}

#[test]
fn only_the_requested_types_are_sent() {
    let server = start_server();
    server.post_example();
    let end = mark_end(&server);
    let until = |line: &Value| line["subject"] == MARKER && line["data"]["revision"] == end;
    let kinds = |query: &str| {
        let lines = read_lines(&server, admin(), query, until);
        let mut kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds("cursor=oldest&types=profile.delta.generated"), ["profile.delta.generated"]);
    assert_eq!(
        kinds("types=profile.assembled,profile.completeness.changed,profile.erased&cursor=oldest"),
        ["profile.assembled", "profile.completeness.changed"]
    );
}

#[test]
fn requests_without_permission_or_with_bad_parameters_are_refused() {
    let server = start_server_with("[events]\nheartbeat_s = 1\nmax_followers = 2\nmax_followers_per_caller = 1\n");
    server.post_example();
    let ask = |token: Token, query: &str| refused(&server, request(&server, token, query));
    assert_eq!(ask(Token::service("profile:read"), ""), (403, "missing-scope".to_owned()));
    assert_eq!(ask(Token::citizen(USER), ""), (403, "forbidden".to_owned()));
    assert_eq!(ask(Token::new("auditor", "aud:test", "events:read"), ""), (403, "forbidden".to_owned()));
    for bad in ["types=profile", "types=", "cursor=", "cursor=newest", &format!("cursor={}", "g".repeat(64))] {
        assert_eq!(ask(service(), bad), (400, "invalid-parameter".to_owned()), "{bad}");
    }
    let path = "/api/v2/events";
    let silent = crate::http::Request::new("GET", path).bearer(&server.sign(admin()));
    assert_eq!(refused(&server, silent), (400, "access-reason-missing".to_owned()));
    assert_eq!(refused(&server, crate::http::Request::new("GET", path)), (401, "unauthenticated".to_owned()));
    let json =
        crate::http::Request::new("GET", path).bearer(&server.sign(service())).header("accept", "application/json");
    assert_eq!(refused(&server, json), (406, "not-acceptable".to_owned()));

    // A cursor is valid only for the same mask and the same store.
    let cursor = Follower::open(&server, service(), "cursor=oldest").read_to(USER, 3).pop().unwrap().cursor;
    let other_store = cursor.replacen(&cursor[..16], "0123456789abcdef", 1);
    crate::test_server::eventually("the follower is gone", || server.metric("profile_event_followers") == 0.0);
    for (token, cursor) in [(viewers()[1].clone(), &cursor), (service(), &other_store)] {
        let gone = Follower::try_open(&server, request(&server, token.clone(), &format!("cursor={cursor}")));
        let gone = gone.err().unwrap();
        assert_eq!((gone.status, gone.problem().as_str()), (410, "cursor-gone"));
        let oldest = gone.json()["oldest"].as_str().unwrap().to_owned();
        let from_there = Follower::open(&server, token, &format!("cursor={oldest}")).read_to(USER, 3);
        assert_eq!(from_there[0].event["data"]["revision"], 1);
        crate::test_server::eventually("the follower is gone", || server.metric("profile_event_followers") == 0.0);
    }

    let first = Follower::open(&server, service(), "");
    assert_eq!(ask(service(), ""), (429, "too-many-followers".to_owned()));
    let second = Follower::open(&server, admin(), "");
    let third = Token::service("events:read").with("sub", "svc:third");
    assert_eq!(ask(third.clone(), ""), (503, "busy".to_owned()));
    drop((first, second));
    crate::test_server::eventually("the followers are gone", || server.metric("profile_event_followers") == 0.0);
    drop(Follower::open(&server, third, ""));
}

#[test]
fn a_stream_sends_heartbeats_and_ends_with_its_token_its_policy_or_its_server() {
    let server = start_server_with("[events]\nheartbeat_s = 1\n[auth]\nleeway_s = 0\n");
    server.post_example();
    let mut short = Follower::open(&server, service().with("exp", now() + 2), "");
    assert!(short.next().is_none());

    let mut follower = Follower::open(&server, service(), "");
    follower.heartbeat();
    let text = include_str!("../../config/access.toml");
    let changed = text.replacen("\"identity.age_bracket\"]", "\"identity.age_bracket\", \"family.*\"]", 1);
    std::fs::write(server.data_dir.path().join("access.toml"), changed).unwrap();
    assert!(follower.next().is_none(), "cursors of the old table are no longer valid");
    let gone = Follower::try_open(&server, request(&server, service(), &format!("cursor={}", follower.cursor)));
    let gone = gone.err().unwrap();
    assert_eq!((gone.status, gone.problem().as_str()), (410, "cursor-gone"));
    let oldest = gone.json()["oldest"].as_str().unwrap().to_owned();

    let mut last = Follower::open(&server, service(), &format!("cursor={oldest}"));
    last.read_to(USER, 13);
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
    while last.next().is_some() {}
}

/// Returns events of many residents, as lines of a feed.
fn residents(users: usize, steps: Range<usize>) -> String {
    let lines = (steps.start * users..steps.end * users).map(|number| {
        let (user, step) = (number % users, number / users);
        let time = format!("2026-01-{:02}T{:02}:{:02}:00Z", 1 + step / 1440, step / 60 % 24, step % 60);
        residency(&format!("usr_Resident{user:08}"), &format!("e{step}"), &time, step as u32 % 100).to_string() + "\n"
    });
    lines.collect()
}

#[test]
fn a_cursor_of_removed_segments_is_refused_and_the_oldest_one_works() {
    let settings = "[journal]\nsegment_mib = 1\nretain_bytes = 0\n[http]\nmax_event_bytes = 262144\n\
                    [checkpoint]\ninterval_s = 1\n";
    let server = start_server_with(settings);
    let begin = Follower::open(&server, service(), "cursor=oldest").cursor;
    let step = std::cell::Cell::new(0);
    let gone = || {
        let next = step.replace(step.get() + 1);
        let answer = server.post_as("metadata", "application/x-ndjson", residents(3_000, next..next + 1));
        assert_eq!(answer.status, 200);
        Follower::try_open(&server, request(&server, service(), &format!("cursor={begin}"))).err()
    };
    test_server::eventually("the first segment is removed", || gone().is_some());
    let gone = gone().unwrap();
    assert_eq!((gone.status, gone.problem().as_str()), (410, "cursor-gone"));
    let oldest = gone.json()["oldest"].as_str().unwrap().to_owned();
    // The oldest segment may be removed meanwhile; then the next answer says so.
    let follower = Follower::try_open(&server, request(&server, service(), &format!("cursor={oldest}")));
    assert!(follower.is_ok());
}

#[test]
fn a_long_backlog_streams_in_order_while_others_read() {
    const USERS: usize = 1_000;
    const EACH: usize = 100;
    let server = start_server();
    let answer = server.post_as("metadata", "application/x-ndjson", residents(USERS, 0..EACH));
    assert_eq!(answer.lines().last().unwrap()["applied"], USERS * EACH);
    let (mut received, mut slowest) = (0, Duration::ZERO);
    let mut follower = Follower::open(&server, admin(), "cursor=oldest&types=profile.delta.generated");
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut slowest, mut reads) = (Duration::ZERO, 0);
            while reads < 200 {
                let started = Instant::now();
                revision(&server, &format!("usr_Resident{:08}", reads * 7 % USERS));
                slowest = slowest.max(started.elapsed());
                reads += 1;
            }
            slowest
        });
        while received < USERS * EACH {
            follower.next().expect("the stream goes on");
            received += 1;
        }
        slowest = reading.join().unwrap();
    });
    assert!(follower.revisions.values().all(|revision| *revision == EACH as u64));
    test_server::print_figure("slowest read during a backlog", slowest);
}

/// Overwrites the mark at the end of the journal's newest segment. It is written without a sync, so a power cut may
/// lose it.
fn lose_the_last_mark(data_dir: &std::path::Path) {
    let entries = std::fs::read_dir(data_dir.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let path = entries.filter(|path| path.extension().is_some_and(|kind| kind == "segment")).max().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let magic = bytes.windows(8).rposition(|window| window == b"PSJ-MARK").unwrap();
    bytes[magic - 16..magic + 24].fill(0);
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn after_a_power_cut_a_follower_that_began_after_a_withdrawal_receives_nothing_of_the_user() {
    let third = || Token::service("profile:read third_party events:read");
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": false}));
    let began = Follower::open(&server, third(), "");
    let data_dir = server.kill();
    lose_the_last_mark(data_dir.path());
    let server = test_server::start_on(data_dir);
    let end = mark_end(&server);
    let received = began.resume(&server, third()).read_to(MARKER, end);
    assert!(received.iter().all(|event| event.event["subject"] == MARKER), "{received:?}");
}

#[test]
fn heartbeats_do_not_show_whether_anything_happened_to_users_who_are_hidden() {
    let third = || Token::service("profile:read third_party events:read");
    let server = start_server_with("[events]\nheartbeat_s = 1\nmax_followers_per_caller = 16\n");
    server.post_example();
    let mut follower = Follower::open(&server, third(), "");
    let mut cursors = vec![follower.cursor.clone()];
    for round in 0..4 {
        if round >= 2 {
            server.apply("metadata", &residency(USER, &format!("r-{round}"), "2026-01-20T00:00:00Z", 40 + round));
        }
        follower.heartbeat();
        cursors.push(follower.cursor.clone());
    }
    for (index, one) in cursors.iter().enumerate() {
        assert_eq!(one.len(), cursors[0].len());
        assert!(
            cursors[index + 1..].iter().all(|other| other != one),
            "every cursor differs from the others: {cursors:?}"
        );
    }
    // Every cursor is valid.
    for cursor in cursors {
        Follower::open(&server, third(), &format!("cursor={cursor}"));
    }
}
