//! Dead letters are kept, sealed, and go when their time has come.

use domain::port::clock::Clock;
use domain::port::dead_letters::{DeadLetter, DeadLetters};

use crate::kit::{open, options, record, try_open, user};

const DAY: i64 = 24 * 3600 * 1_000_000;

fn letter(number: Option<usize>, rejected_at: i64) -> DeadLetter {
    DeadLetter {
        source: "eligibility".to_owned(),
        user: number.map(user),
        event_id: Some("evt_1".to_owned()),
        event_type: None,
        problem: "invalid-value".to_owned(),
        pointer: Some("/data/score".to_owned()),
        body: Some(b"SECRET-BODY".repeat(1000)),
        rejected_at,
    }
}

#[test]
fn letters_of_users_and_of_nobody_are_read_back_and_are_never_in_plain() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    store.journal.append(&[record(1, 1, vec![1])]).expect("taken")[0].expect("in sequence");
    for number in [Some(1), Some(2), None] {
        store.dead_letters.keep(letter(number, 20_000 * DAY));
    }
    store.closer.close().expect("closes");
    drop((store.journal, store.reader, store.log, store.dead_letters));

    let store = open(dir.path());
    let mut users: Vec<_> = store.dead_letters.read_all().expect("reads");
    users.sort_by_key(|letter| letter.user);
    assert_eq!(users.iter().map(|letter| letter.user).collect::<Vec<_>>(), [None, Some(user(1)), Some(user(2))]);
    for kept in users {
        let sent = letter(None, 20_000 * DAY);
        assert_eq!((kept.body, kept.pointer, kept.rejected_at), (sent.body, sent.pointer, sent.rejected_at));
        assert_eq!((kept.event_id, kept.event_type), (sent.event_id, None));
    }
    drop((store.journal, store.reader, store.log, store.dead_letters, store.closer));
    let bytes = std::fs::read(dir.path().join("sled/db")).expect("sled's log");
    for plain in ["SECRET", "usr_", "eligibility"] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain}");
    }
}

#[test]
fn letters_go_after_30_days_and_their_daily_key_with_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for day in [100, 101, 131] {
        store.dead_letters.keep(letter(None, day * DAY + 5));
    }
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [101, 131]);
    let keyring = std::fs::read(dir.path().join("keyring")).expect("the keyring");
    let states: Vec<u8> = keyring[4096..].chunks(64).take(3).map(|slot| slot[0]).collect();
    assert_eq!(states, [2, 1, 1], "the first day's slot is destroyed");
}

/// A clock that stands still.
struct Day(i64);

impl Clock for Day {
    fn now_micros(&self) -> i64 {
        self.0 * DAY
    }
}

#[test]
fn letters_go_at_a_start_too_after_the_days_that_were_set() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for day in [100, 104] {
        store.dead_letters.keep(letter(None, day * DAY + 5));
    }
    store.closer.close().expect("closes");
    drop((store.journal, store.reader, store.log, store.dead_letters));
    let mut options = options(dir.path());
    options.dead_letter_days = 7;
    options.clock = Some(std::sync::Arc::new(Day(110)));
    let store = try_open(options, 1).expect("the store opens");
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [104]);
}

#[test]
fn the_queue_is_bounded_by_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    options.dead_letter_bytes = 10_000;
    let store = try_open(options, 1).expect("the store opens");
    store.dead_letters.keep(letter(None, DAY));
    store.dead_letters.keep(DeadLetter { body: Some(vec![1; 9_000]), ..letter(None, DAY) });
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 1, "the first has 11,000 bytes");
}
