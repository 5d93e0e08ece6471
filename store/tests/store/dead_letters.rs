//! Dead letters are kept sealed, within limits, and expire.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use domain::port::dead_letters::{DeadLetter, DeadLetters, LetterDropped, RejectedEvents, StoredLetter};
use domain::port::table::{TableFormat, TableSchema, TableWriter};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::StoreHealth;

use crate::kit::clock::{DAY, TestClock};
use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES, SLOT_DESTROYED, SLOT_LIVE};
use crate::kit::{append_one, close, drop_parts, frames, open, options, try_open, user, wait_for};
use crate::sled_faults::{failing_sled, trigger};

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
fn letters_with_and_without_a_user_are_read_back_and_are_never_stored_unencrypted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, vec![1]);
    for number in [Some(1), Some(2), None] {
        store.dead_letters.keep(letter(number, 20_000 * DAY)).expect("kept");
    }
    close(store);

    let store = open(dir.path());
    let mut users: Vec<_> = store.dead_letters.read_all().expect("reads");
    users.sort_by_key(|letter| letter.user);
    assert_eq!(users.iter().map(|letter| letter.user).collect::<Vec<_>>(), [None, Some(user(1)), Some(user(2))]);
    for kept in users {
        let sent = letter(None, 20_000 * DAY);
        assert_eq!((kept.body, kept.pointer, kept.rejected_at), (sent.body, sent.pointer, sent.rejected_at));
        assert_eq!((kept.event_id, kept.event_type), (sent.event_id, None));
    }
    drop(store);
    let bytes = std::fs::read(dir.path().join("sled/db")).expect("sled's log");
    for plain in ["SECRET", "usr_", "eligibility"] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain}");
    }
}

/// Returns the letters of all pages of a source, the newest first.
fn pages(store: &store::Store, source: &str, limit: usize) -> Vec<StoredLetter> {
    let (mut letters, mut before) = (Vec::new(), None);
    loop {
        let page = store.dead_letters.page(source, before, limit).expect("reads");
        assert!(page.letters.len() <= limit);
        letters.extend(page.letters);
        before = page.next;
        if before.is_none() {
            return letters;
        }
    }
}

#[test]
fn letters_of_a_source_are_listed_newest_first_in_pages_and_read_again_by_their_ids() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for (day, source) in [(20_002, "schemes"), (20_001, "trust"), (20_000, "schemes"), (20_001, "schemes")] {
        let letter = DeadLetter { source: source.to_owned(), ..letter(None, day * DAY) };
        store.dead_letters.keep(letter).expect("kept");
    }
    close(store);

    let store = open(dir.path());
    let days = |source: &str, limit| {
        let letters = pages(&store, source, limit);
        for StoredLetter { id, letter } in &letters {
            let again = store.dead_letters.read(source, *id).expect("reads").expect("the same letter");
            assert_eq!((again.rejected_at, &*again.source), (letter.rejected_at, source));
            assert!(store.dead_letters.read("identity", *id).expect("reads").is_none(), "of another source");
        }
        letters.iter().map(|stored| stored.letter.rejected_at / DAY).collect::<Vec<_>>()
    };
    for limit in [1, 2, 200] {
        assert_eq!(
            (days("schemes", limit), days("trust", limit), days("identity", limit)),
            (vec![20_002, 20_001, 20_000], vec![20_001], vec![])
        );
    }
    // A cursor stays valid while the letter that it names is removed, and others come.
    let first = store.dead_letters.page("schemes", None, 1).expect("reads");
    assert!(store.dead_letters.remove("schemes", first.letters[0].id).expect("removed"));
    let source = "schemes".to_owned();
    store.dead_letters.keep(DeadLetter { source, ..letter(None, 20_003 * DAY) }).expect("kept");
    wait_for(|| pages(&store, "schemes", 200).len() == 3);
    let second = store.dead_letters.page("schemes", first.next, 200).expect("reads");
    let days: Vec<_> = second.letters.iter().map(|stored| stored.letter.rejected_at / DAY).collect();
    assert_eq!((days, second.next), (vec![20_001, 20_000], None));
}

#[test]
fn a_page_holds_a_few_megabytes_however_many_letters_are_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for number in 0..9 {
        let body = Some(incompressible(1_000_000));
        store.dead_letters.keep(DeadLetter { body, ..letter(None, DAY + number) }).expect("kept");
    }
    wait_for(|| pages(&store, "eligibility", 200).len() == 9);
    let page = store.dead_letters.page("eligibility", None, 200).expect("reads");
    assert_eq!((page.letters.len(), page.next.is_some()), (5, true));
    let times: Vec<_> = pages(&store, "eligibility", 200).iter().map(|one| one.letter.rejected_at - DAY).collect();
    assert_eq!(times, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn a_letter_that_is_removed_is_gone_after_a_crash_and_makes_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for _ in 0..3 {
        store.dead_letters.keep(letter_from("eligibility", 10_000)).expect("kept");
    }
    wait_for(|| pages(&store, "eligibility", 9).len() == 3);
    let (bytes, letters) = (store.dead_letters.bytes(), pages(&store, "eligibility", 9));
    assert!(store.dead_letters.remove("eligibility", letters[1].id).expect("removed"));
    assert!(!store.dead_letters.remove("eligibility", letters[1].id).expect("reads"), "it is gone already");
    assert!(!store.dead_letters.remove("trust", letters[0].id).expect("reads"), "of another source");
    let left = store.dead_letters.bytes();
    assert!((bytes - 11_000..bytes - 10_000).contains(&left), "{bytes} and then {left}");
    // As in a crash: nothing is written any more.
    drop(store);
    let store = open(dir.path());
    let found: Vec<_> = pages(&store, "eligibility", 9).iter().map(|stored| stored.id).collect();
    assert_eq!((found, store.dead_letters.bytes()), (vec![letters[0].id, letters[2].id], left));
}

#[test]
fn a_letter_keeps_everything_but_its_problem_when_that_changes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, vec![1]);
    for number in [Some(1), None] {
        store.dead_letters.keep(letter(number, 20_000 * DAY)).expect("kept");
    }
    wait_for(|| pages(&store, "eligibility", 9).len() == 2);
    let before = pages(&store, "eligibility", 9);
    for StoredLetter { id, letter } in &before {
        assert!(store.dead_letters.set_problem("eligibility", *id, "class-red", None).expect("changed"));
        let after = store.dead_letters.read("eligibility", *id).expect("reads").expect("there");
        assert_eq!((&*after.problem, after.pointer), ("class-red", None));
        assert_eq!((after.user, &after.body, after.rejected_at), (letter.user, &letter.body, letter.rejected_at));
    }
    drop(store);
    let store = open(dir.path());
    assert!(pages(&store, "eligibility", 9).iter().all(|stored| stored.letter.problem == "class-red"));
    let counted = store.dead_letters.bytes();
    close(store);
    assert_eq!(open(dir.path()).dead_letters.bytes(), counted, "the bytes are those that are stored");
}

#[test]
fn the_letters_about_a_user_are_those_sealed_under_the_users_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    // Nobody is known yet.
    store.dead_letters.keep(letter(Some(1), DAY)).expect("kept");
    wait_for(|| pages(&store, "eligibility", 9).len() == 1);
    for number in 1..=2 {
        append_one(&mut store, number, 1, vec![1]);
    }
    for (number, source) in [(Some(1), "trust"), (Some(2), "trust"), (Some(1), "schemes"), (None, "schemes")] {
        let letter = DeadLetter { source: source.to_owned(), ..letter(number, 2 * DAY) };
        store.dead_letters.keep(letter).expect("kept");
    }
    store.closer.close().expect("closes");
    let about = |number| {
        let found = store.dead_letters.about(&user(number), None).expect("reads");
        assert_eq!(found.next, None);
        let mut sources: Vec<_> = found.letters.into_iter().map(|stored| stored.letter.source).collect();
        sources.sort();
        sources
    };
    assert_eq!((about(1), about(2), about(3)), (vec!["schemes".into(), "trust".into()], vec!["trust".into()], vec![]));
}

#[test]
fn letters_expire_after_30_days_together_with_their_daily_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for day in [100, 101, 131] {
        store.dead_letters.keep(letter(None, day * DAY + 5)).expect("kept");
    }
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [101, 131]);
    let keyring = std::fs::read(dir.path().join("keyring")).expect("the keyring");
    let states: Vec<u8> = keyring[KEYRING_HEADER_BYTES..].chunks(SLOT_BYTES).take(3).map(|slot| slot[0]).collect();
    assert_eq!(states, [SLOT_DESTROYED, SLOT_LIVE, SLOT_LIVE], "the slot of the first day is destroyed");
}

#[test]
fn letters_expire_at_a_start_too_after_the_configured_days() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for day in [100, 104] {
        store.dead_letters.keep(letter(None, day * DAY + 5)).expect("kept");
    }
    close(store);
    let mut options = options(dir.path());
    options.dead_letter_days = 7;
    options.clock = Some(TestClock::at_day(110));
    let store = try_open(options, 1).expect("the store opens");
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [104]);
}

/// Slots that a clean stop left unused are used by the next run, of which a crash leaves no frame in the journal.
#[test]
fn after_a_crash_no_user_gets_the_slot_of_a_day_or_of_a_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, vec![1]);
    close(store);

    let store = open(dir.path());
    store.dead_letters.keep(letter(None, 100 * DAY)).expect("kept");
    wait_for(|| store.dead_letters.read_all().is_ok_and(|letters| letters.len() == 1));
    let table =
        store.tables.create("exp_1", TableFormat::Ndjson, &TableSchema { columns: vec![], metadata: BTreeMap::new() });
    table.and_then(TableWriter::finish).expect("a table");
    drop(store);

    let mut store = open(dir.path());
    for number in 2..=4 {
        append_one(&mut store, number, 1, vec![9]);
    }
    store.tables.remove("exp_1").expect("removed, with its key");
    // The first letter and the key of its day expire.
    store.dead_letters.keep(letter(None, 200 * DAY)).expect("kept");
    close(store);
    let store = open(dir.path());
    for number in 1..=4 {
        assert_eq!(frames(&store, number).len(), 1, "user {number}");
    }
}

#[test]
fn the_queue_is_limited_by_bytes() {
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

fn letter_from(source: &str, bytes: usize) -> DeadLetter {
    DeadLetter { source: source.to_owned(), body: Some(incompressible(bytes)), ..letter(None, DAY) }
}

/// Returns bytes that compression does not shorten.
fn incompressible(bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    StdRng::seed_from_u64(1).fill(&mut body[..]);
    body
}

#[test]
fn a_source_at_its_limit_gets_an_error_and_affects_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    options.dead_letter_source_bytes = 100_000;
    options.dead_letter_total_bytes = 150_000;
    let store = try_open(options.clone(), 1).expect("the store opens");
    let keep = |store: &store::Store, source, count: usize| {
        let kept = (0..count).map(|_| store.dead_letters.keep(letter_from(source, 10_000)));
        kept.collect::<Vec<_>>()
    };
    let results = keep(&store, "eligibility", 20);
    let kept = results.iter().take_while(|result| result.is_ok()).count();
    assert!((8..10).contains(&kept), "{kept} letters of 10,000 bytes");
    assert!(results[kept..].iter().all(|result| *result == Err(LetterDropped::SourceLimit)));
    let others = keep(&store, "identity", 20);
    let more = others.iter().take_while(|result| result.is_ok()).count();
    assert!((4..6).contains(&more), "{more} letters of 10,000 bytes");
    assert!(others[more..].iter().all(|result| *result == Err(LetterDropped::TotalLimit)));
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), kept + more);
    let bytes = store.dead_letters.bytes();
    assert!(bytes <= 150_000 && bytes > 10_000 * (kept + more) as u64, "{bytes}");
    drop_parts!(store);

    // The limits hold over a restart, and new letters are taken when old ones have expired.
    let store = try_open(options.clone(), 2).expect("the store opens");
    assert_eq!(store.dead_letters.bytes(), bytes, "counted as stored");
    assert!(keep(&store, "eligibility", 2).contains(&Err(LetterDropped::SourceLimit)));
    close(store);
    options.clock = Some(TestClock::at_day(100));
    let store = try_open(options.clone(), 3).expect("the store opens");
    store.closer.close().expect("closes");
    assert_eq!((store.dead_letters.bytes(), store.dead_letters.read_all().expect("reads").len()), (0, 0));
    drop_parts!(store);
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
    options.clock = Some(TestClock::at_day(20_000));
    let store = try_open(options, 1).expect("the store opens");
    // The clock of the pipeline stands still, long ago, which does not make the letter old.
    store.dead_letters.keep(letter(None, 100 * DAY)).expect("kept");
    store.closer.close().expect("closes");
    let days: Vec<_> = store.dead_letters.read_all().expect("reads").iter().map(|one| one.rejected_at / DAY).collect();
    assert_eq!(days, [20_000]);
}

#[test]
fn a_jump_of_the_clock_removes_no_letter_and_destroys_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = TestClock::at_day(20_000);
    let mut options = options(dir.path());
    options.clock = Some(clock.clone());
    options.confirm_clock = std::time::Duration::from_secs(3600);
    let store = try_open(options.clone(), 1).expect("the store opens");
    store.dead_letters.keep(letter(None, 0)).expect("kept");
    store.closer.checkpoint().expect("a checkpoint");
    clock.advance(400 * DAY);
    // By the time of the next letter, all others would have expired.
    store.dead_letters.keep(letter(None, 0)).expect("kept");
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 2);
    drop_parts!(store);

    // Nor does a start with such a time.
    let store = try_open(options, 2).expect("the store opens");
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 2);
}

#[test]
fn letters_that_a_failed_purge_removed_make_way_for_new_ones_and_the_purge_is_repeated() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let clock = TestClock::at_day(100);
    let mut options = options(dir.path());
    options.disk = Arc::new(disk.clone());
    options.clock = Some(clock.clone());
    options.dead_letter_source_bytes = 100_000;
    let store = try_open(options, 1).expect("the store opens");
    for _ in 0..8 {
        store.dead_letters.keep(letter_from("eligibility", 10_000)).expect("kept");
    }
    wait_for(|| store.dead_letters.read_all().expect("reads").len() == 8);

    // The purge removes the letters, and then the key of their day cannot be destroyed.
    clock.advance(40 * DAY);
    disk.set(FaultPlan { path: "keyring", full: 1, ..FaultPlan::default() });
    store.dead_letters.keep(letter_from("eligibility", 100)).expect("kept");
    wait_for(|| store.dead_letters.read_all().expect("reads").len() == 1);
    assert!(disk.is_used_up());
    for _ in 0..8 {
        store.dead_letters.keep(letter_from("eligibility", 10_000)).expect("there is room for it again");
    }
    let bytes = store.dead_letters.bytes();
    store.closer.close().expect("closes");
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 9);
    assert!(store.dead_letters.bytes() <= bytes && bytes <= 100_000, "{bytes}");
    let keyring = std::fs::read(dir.path().join("keyring")).expect("the keyring");
    let states: Vec<u8> = keyring[KEYRING_HEADER_BYTES..].chunks(SLOT_BYTES).take(2).map(|slot| slot[0]).collect();
    assert_eq!(states, [SLOT_DESTROYED, SLOT_LIVE], "the next letter repeated the purge");
}

const DIRECTORY: &str = "STORE_TEST_LETTERS_DIRECTORY";

/// Is the process whose writes to sled fail while the trigger exists, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let mut options = options(&dir.join("data"));
    options.dead_letter_source_bytes = 100_000;
    let store = try_open(options, 1).expect("the store opens");
    store.dead_letters.keep(letter_from("identity", 1000)).expect("kept");
    wait_for(|| store.dead_letters.read_all().expect("reads").len() == 1);
    store.closer.checkpoint().expect("a checkpoint, which flushes the letter");
    for _ in 0..8 {
        store.dead_letters.keep(letter_from("eligibility", 10_000)).expect("kept");
    }
    wait_for(|| store.dead_letters.read_all().expect("reads").len() == 9);

    // sled fails, stays closed, and loses the letters that were not flushed.
    std::fs::write(trigger(&dir), "").expect("written");
    store.closer.checkpoint().expect_err("sled cannot be written to");
    assert!(!store.status.is_ready(), "it is reported that nothing can be read");
    assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
    // This letter waits, and is written when sled is open again.
    let late = DeadLetter { event_id: Some("evt_late".to_owned()), ..letter_from("identity", 1000) };
    store.dead_letters.keep(late).expect("kept");
    for _ in 0..20 {
        store.closer.checkpoint().expect_err("sled cannot be reopened");
    }
    std::fs::remove_file(trigger(&dir)).expect("removed");
    wait_for(|| store.closer.checkpoint().is_ok());
    assert!(store.status.is_ready());
    let is_late = |letter: &DeadLetter| letter.event_id.as_deref() == Some("evt_late");
    wait_for(|| store.dead_letters.read_all().expect("reads").iter().any(is_late));

    // The lost letters do not count any more. (sled may have written some of them by itself.)
    let letters = store.dead_letters.read_all().expect("reads");
    let left = letters.iter().filter(|letter| letter.source == "eligibility").count();
    assert_eq!(letters.len(), left + 2, "the flushed letter and the late one are there");
    let bytes = store.dead_letters.bytes();
    assert!(bytes < (left as u64 + 1) * 11_000, "{bytes} bytes for {left} letters of 10,000 and two of 1,000");
    for _ in left..9 {
        store.dead_letters.keep(letter_from("eligibility", 10_000)).expect("there is room for it again");
    }
    close(store);
    let store = open(&dir.join("data"));
    assert_eq!(store.dead_letters.read_all().expect("reads").len(), 9 + 2);
}

#[test]
fn letters_that_come_while_sled_is_closed_are_written_later_and_lost_ones_do_not_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "dead_letters::child", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .env("FAIL_WHEN", trigger(dir.path()))
        .env("LD_PRELOAD", failing_sled(dir.path()))
        .status();
    assert!(status.expect("a child").success(), "the child ends well");
}
