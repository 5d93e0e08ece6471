//! Dead letters are kept, sealed, and go when their time has come.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::port::clock::Clock;
use domain::port::dead_letters::{DeadLetter, DeadLetters, LetterDropped};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

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
        store.dead_letters.keep(letter(number, 20_000 * DAY)).expect("kept");
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
        store.dead_letters.keep(letter(None, day * DAY + 5)).expect("kept");
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
        store.dead_letters.keep(letter(None, day * DAY + 5)).expect("kept");
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
    options.dead_letter_queue_bytes = 10_000;
    let store = try_open(options, 1).expect("the store opens");
    assert_eq!(store.dead_letters.keep(letter(None, DAY)), Err(LetterDropped::QueueLimit));
    store.dead_letters.keep(DeadLetter { body: Some(vec![1; 9_000]), ..letter(None, DAY) }).expect("kept");
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.keep(letter(None, DAY)), Err(LetterDropped::Closing));
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 1, "the first has 11,000 bytes");
}

fn from(source: &str, bytes: usize) -> DeadLetter {
    DeadLetter { source: source.to_owned(), body: Some(incompressible(bytes)), ..letter(None, DAY) }
}

/// Bytes that stay as many when they are compressed.
fn incompressible(bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    StdRng::seed_from_u64(1).fill(&mut body[..]);
    body
}

#[test]
fn a_source_that_has_reached_its_bound_is_told_so_and_harms_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    options.dead_letter_source_bytes = 100_000;
    options.dead_letter_total_bytes = 150_000;
    let store = try_open(options.clone(), 1).expect("the store opens");
    let keep = |store: &store::Store, source, count: usize| {
        let kept = (0..count).map(|_| store.dead_letters.keep(from(source, 10_000)));
        kept.collect::<Vec<_>>()
    };
    let told = keep(&store, "eligibility", 20);
    let kept = told.iter().take_while(|told| told.is_ok()).count();
    assert!((8..10).contains(&kept), "{kept} letters of 10,000 bytes");
    assert!(told[kept..].iter().all(|told| *told == Err(LetterDropped::SourceLimit)));
    let others = keep(&store, "identity", 20);
    let more = others.iter().take_while(|told| told.is_ok()).count();
    assert!((4..6).contains(&more), "{more} letters of 10,000 bytes");
    assert!(others[more..].iter().all(|told| *told == Err(LetterDropped::TotalLimit)));
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), kept + more);
    let bytes = store.dead_letters.bytes();
    assert!(bytes <= 150_000 && bytes > 10_000 * (kept + more) as u64, "{bytes}");
    drop((store.journal, store.reader, store.log, store.dead_letters));

    // The bounds hold over a restart, and there is room again when letters have gone.
    let store = try_open(options.clone(), 2).expect("the store opens");
    assert_eq!(store.dead_letters.bytes(), bytes, "counted as they are stored");
    assert!(keep(&store, "eligibility", 2).contains(&Err(LetterDropped::SourceLimit)));
    store.closer.close().expect("closes");
    drop((store.journal, store.reader, store.log, store.dead_letters));
    options.clock = Some(std::sync::Arc::new(Day(100)));
    let store = try_open(options.clone(), 3).expect("the store opens");
    store.closer.close().expect("closes");
    assert_eq!((store.dead_letters.bytes(), store.dead_letters.read_all().expect("reads").len()), (0, 0));
    drop((store.journal, store.reader, store.log, store.dead_letters));
    let store = try_open(options, 4).expect("the store opens");
    assert_eq!(keep(&store, "eligibility", 1), [Ok(())]);
}

#[test]
fn no_letter_of_a_large_burst_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for _ in 0..50_000 {
        let small = DeadLetter { body: Some(b"{\"id\":\"evt_1\",\"type\":7}".to_vec()), ..letter(None, DAY) };
        store.dead_letters.keep(small).expect("kept");
    }
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 50_000);
}

#[test]
fn a_letter_has_the_time_of_the_stores_clock() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    options.clock = Some(std::sync::Arc::new(Day(20_000)));
    let store = try_open(options, 1).expect("the store opens");
    // The clock of assembly stands still, long ago: the letter is not old for that.
    store.dead_letters.keep(letter(None, 100 * DAY)).expect("kept");
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [20_000]);
}

/// A clock that can be set.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_jump_of_the_clock_removes_no_letter_and_destroys_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = std::sync::Arc::new(Hand(AtomicI64::new(20_000 * DAY)));
    let mut options = options(dir.path());
    options.clock = Some(clock.clone());
    options.confirm_clock = std::time::Duration::from_secs(3600);
    let store = try_open(options.clone(), 1).expect("the store opens");
    store.dead_letters.keep(letter(None, 0)).expect("kept");
    store.closer.checkpoint().expect("a checkpoint");
    clock.0.fetch_add(400 * DAY, Ordering::Relaxed);
    // The next letter would take all of more than 30 days with it.
    store.dead_letters.keep(letter(None, 0)).expect("kept");
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 2);
    drop((store.journal, store.reader, store.log, store.dead_letters));

    // Nor does a start that finds such a time.
    let store = try_open(options, 2).expect("the store opens");
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 2);
}
