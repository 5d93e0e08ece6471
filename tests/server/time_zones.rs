//! Points in time around the days on which clocks are set: an instant has one answer, however it is spelled.

use std::fs;

use tempfile::TempDir;

use crate::http::Response;
use crate::test_server::{TestServer, USER, profile_path, residency, start_at};
use crate::token::Token;

/// When a revision is made: before midnight in Berlin; before the clocks go from 2 to 3 o'clock, and after; and in the next
/// day, which begins an hour earlier in UTC.
const SPRING: [&str; 4] =
    ["2026-03-28T22:59:59Z", "2026-03-29T00:45:00Z", "2026-03-29T01:15:00Z", "2026-03-29T22:30:00Z"];
/// The same before and after the clocks go from 3 back to 2 o'clock, so that half past two comes twice.
const AUTUMN: [&str; 4] =
    ["2026-10-24T21:59:59Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T23:30:00Z"];

/// Returns a server of Berlin that was started at each of these times and has applied an event at each, and the revisions.
fn over(clocks: [&str; 4]) -> (TestServer, [u64; 4]) {
    let mut dir = TempDir::new().unwrap();
    fs::write(dir.path().join("config.local.toml"), "[time]\nzone = \"Europe/Berlin\"\n").unwrap();
    let mut revisions = [0; 4];
    for (number, clock) in clocks.into_iter().enumerate() {
        let server = start_at(dir, clock);
        server.apply(
            "metadata",
            &residency(USER, &format!("event-{number}"), "2026-01-10T06:00:00Z", 10 + number as u32),
        );
        revisions[number] = server.own_profile(USER).json()["revision"].as_u64().unwrap();
        if number == 3 {
            return (server, revisions);
        }
        dir = server.kill();
    }
    unreachable!("the last one returns")
}

fn as_of(server: &TestServer, instant: &str) -> Response {
    let encoded = instant.replace('+', "%2B");
    server.get(&format!("{}?as_of={encoded}", profile_path(USER)), Token::citizen(USER))
}

/// Asserts that each spelling of an instant gives the revision, with the same bytes and tag as a read by its number.
#[track_caller]
fn check(server: &TestServer, expected: u64, spellings: &[&str]) {
    let by_number = server.get(&format!("{}?revision={expected}", profile_path(USER)), Token::citizen(USER));
    for spelling in spellings {
        let read = as_of(server, spelling);
        assert_eq!(read.status, 200, "{spelling}: {read:?}");
        assert_eq!(read.header("x-profile-revision"), expected.to_string(), "{spelling}");
        assert_eq!((&read.body, read.header("etag")), (&by_number.body, by_number.header("etag")), "{spelling}");
        let encoded = spelling.replace('+', "%2B");
        let path = format!("{}/delta?since={encoded}", profile_path(USER));
        let delta = server.get(&path, Token::citizen(USER)).json();
        assert_eq!(delta["base_revision"].as_u64(), Some(expected), "{spelling}");
    }
}

#[test]
fn an_instant_of_the_night_in_which_an_hour_is_skipped_has_one_answer() {
    let (server, [evening, before, after, next_day]) = over(SPRING);
    assert!(evening < before && before < after && after < next_day);
    // Half past two is no time of that night in Berlin. With an offset it is an instant: which, the offset says.
    check(&server, evening, &["2026-03-29T02:30:00+02:00", "2026-03-29T01:30:00+01:00", "2026-03-29T00:30:00Z"]);
    check(
        &server,
        after,
        &[
            "2026-03-29T02:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-29T01:30:00Z",
            "2026-03-29T07:00:00+05:30",
        ],
    );
    // The last instant before the clocks go, and the first after.
    check(&server, before, &["2026-03-29T01:59:59.999999+01:00", "2026-03-29T02:59:59.999999+02:00"]);
    check(&server, before, &["2026-03-29T02:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T01:00:00Z"]);
    // Midnight, and the half hour in which the day has turned and nobody has read.
    check(&server, evening, &["2026-03-29T00:00:00+01:00", "2026-03-28T23:59:59+01:00", "2026-03-29T01:00:00+02:00"]);
    check(&server, after, &["2026-03-30T00:00:00+02:00", "2026-03-29T23:00:00+01:00", "2026-03-29T22:29:59.999999Z"]);
    check(&server, next_day, &["2026-03-30T00:30:00+02:00", "2026-03-29T23:30:00+01:00", "2026-03-29T22:30:00Z"]);
    let first = as_of(&server, "2026-03-28T23:59:58+01:00");
    assert_eq!((first.status, first.problem().as_str()), (404, "unknown-revision"));
}

#[test]
fn an_hour_that_comes_twice_is_two_hours() {
    let (server, [evening, first, second, next_day]) = over(AUTUMN);
    check(&server, first, &["2026-10-25T02:30:00+02:00", "2026-10-25T01:30:00+01:00", "2026-10-25T00:30:00Z"]);
    check(&server, second, &["2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+02:00", "2026-10-25T01:30:00Z"]);
    check(&server, first, &["2026-10-25T02:29:59.999999+01:00", "2026-10-25T03:29:59.999999+02:00"]);
    check(&server, evening, &["2026-10-25T02:29:59.999999+02:00", "2026-10-25T00:00:00+02:00"]);
    check(&server, second, &["2026-10-26T00:00:00+01:00", "2026-10-26T01:00:00+02:00", "2026-10-25T23:29:59Z"]);
    check(&server, next_day, &["2026-10-26T00:30:00+01:00", "2026-10-26T01:30:00+02:00"]);
}

#[test]
fn a_plus_that_is_not_encoded_is_taken_for_one() {
    let (server, [_, _, after, _]) = over(SPRING);
    check(&server, after, &["2026-03-29T02:30:00+01:00"]);
    for tail in [
        "?as_of=2026-03-29T02:30:00+01:00",
        "?include=provenance&as_of=2026-03-29T02:30:00+01:00",
        "/delta?since=2026-03-29T02:30:00+01:00",
        "/diff?from=2026-03-29T02:30:00+01:00&to=1",
    ] {
        let read = |tail: &str| server.get(&format!("{}{tail}", profile_path(USER)), Token::citizen(USER));
        let (plain, encoded) = (read(tail), read(&tail.replace('+', "%2B")));
        assert_eq!((plain.status, &plain.json()["revision"]), (200, &encoded.json()["revision"]), "{tail}: {plain:?}");
    }
}
