//! Users leave quarantine: with their frames or without them, whole or not at all. `from_backup` has the third way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use domain::port::journal::{OutOfSequence, Record};
use domain::port::store::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{QuarantineError, QuarantineReason, ReleasedUser, Store, UserKey};

use crate::kit::clock::{DAY, TestClock};
use crate::kit::{
    KeepAllAfter, LOST, SeededEntropy, append_one, check_history, close, frames, master, open, options, record, seed,
    try_load, user,
};

/// Refuses the frame `panic`, as the rules of an older release might.
fn refuse_a_frame(frames: &[Record]) -> Result<(), StoreError> {
    if frames.iter().any(|record| record.body == b"panic") {
        return Err(StoreError::Damaged { what: "an unknown kind".to_owned() });
    }
    Ok(())
}

/// Opens a store whose rules refuse the frame `panic`.
pub(crate) fn open_refusing(dir: &Path) -> Store {
    let mut options = options(dir);
    options.clock = Some(TestClock::at_day(100));
    let fold = Arc::new(KeepAllAfter(refuse_a_frame));
    store::open(options, &master(), fold, SeededEntropy::new(1)).expect("opens")
}

/// Puts users 1 to `users` into quarantine, each with a state of two frames and three frames behind it, and users without
/// a number that is divisible by 3 only. The others stay.
fn quarantine_users(dir: &Path, users: usize) {
    let mut store = open_refusing(dir);
    for number in 1..=users {
        append_one(&mut store, number, 1, vec![1; 50]);
        append_one(&mut store, number, 2, vec![2; 50]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    for number in 1..=users {
        append_one(&mut store, number, 3, vec![3; 9_000]);
        append_one(&mut store, number, 4, if number % 3 == 0 { vec![4] } else { b"panic".to_vec() });
        append_one(&mut store, number, 5, vec![5]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    close(store);
}

/// Returns the keys of all users in quarantine, in pages of `limit`.
pub(crate) fn keys(store: &Store, limit: usize) -> Vec<UserKey> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = store.quarantine.page(after, limit).expect("reads");
        assert!(page.users.len() <= limit);
        keys.extend(page.users.iter().map(|listed| listed.key));
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

/// Returns the number of the user behind a key.
pub(crate) fn number_of(store: &Store, key: UserKey) -> usize {
    let found = store.quarantine.user(key).expect("in quarantine").expect("a name");
    (1..100).find(|number| user(*number) == found).expect("a user of the test")
}

/// The frames of a user of which the last three were lost.
fn without_three() -> Vec<Vec<u8>> {
    [&whole()[..2], &vec![LOST.to_vec(); 3]].concat()
}

fn whole() -> Vec<Vec<u8>> {
    vec![vec![1; 50], vec![2; 50], vec![3; 9_000], b"panic".to_vec(), vec![5]]
}

#[test]
fn a_user_is_listed_inspected_and_folds_once_the_rules_know_the_frames() {
    let dir = tempfile::tempdir().expect("a directory");
    quarantine_users(dir.path(), 4);
    let store = open_refusing(dir.path());
    for limit in [1, 2, 200] {
        assert_eq!(keys(&store, limit).len(), 3);
    }
    let listed = store.quarantine.page(None, 9).expect("reads").users.remove(0);
    assert_eq!((listed.frames, listed.first_sequence, listed.last_sequence), (3, 3, 5));
    assert_eq!((listed.reason, listed.message.as_deref()), (Some(QuarantineReason::Fold), Some("an unknown kind")));
    assert_eq!((listed.since, listed.slot.is_some()), (Some(100 * DAY), true));
    assert!(listed.bytes > 9_000, "{listed:?}");
    let inspected = store.quarantine.inspect(listed.key).expect("reads");
    let seen: Vec<_> = inspected.frames.iter().map(|frame| (frame.sequence, frame.opens, frame.folds)).collect();
    assert_eq!(seen, [(3, true, Some(true)), (4, true, Some(false)), (5, true, None)]);
    assert_eq!((inspected.state_sequence, inspected.has_more), (Some(2), false));
    // The rules still refuse the frame, and nothing has changed.
    let Err(QuarantineError::StillDamaged { what }) = store.quarantine.retry(listed.key) else { panic!("damaged") };
    assert_eq!((what.as_str(), keys(&store, 9).len()), ("an unknown kind", 3));
    assert!(matches!(store.quarantine.retry(UserKey([0; 16])), Err(QuarantineError::Unknown)));
    drop(store);

    // A release that knows the frame.
    let mut store = open(dir.path());
    let number = number_of(&store, listed.key);
    assert!(matches!(try_load(&*store.reader, number), Err(StoreError::Damaged { .. })));
    let released = store.quarantine.retry(listed.key).expect("folds");
    assert_eq!(released, ReleasedUser { user: user(number), sequence: 5, folded: 3, lost: 0 });
    assert_eq!(frames(&store, number), whole());
    check_history(&store, number, "after a retry");
    assert!(matches!(store.quarantine.retry(listed.key), Err(QuarantineError::Unknown)), "it is out");
    append_one(&mut store, number, 6, vec![6]);
    drop(store);
    let store = open(dir.path());
    assert_eq!((frames(&store, number).len(), keys(&store, 9).len()), (6, 2));
    close(store);
}

#[test]
fn a_user_goes_on_without_the_frames_that_are_dropped_and_sequences_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    quarantine_users(dir.path(), 1);
    let mut store = open_refusing(dir.path());
    let key = keys(&store, 9)[0];
    let dropped = store.quarantine.drop_frames(key).expect("dropped");
    assert_eq!(dropped, ReleasedUser { user: user(1), sequence: 5, folded: 0, lost: 3 });
    assert_eq!((frames(&store, 1), keys(&store, 9)), (without_three(), vec![]));
    check_history(&store, 1, "after a drop");
    for wrong in [3, 5, 7] {
        let refused = store.journal.append(&[record(1, wrong, vec![9])]).expect("taken")[0];
        assert_eq!(refused, Err(OutOfSequence { expected: 6 }), "{wrong}");
    }
    append_one(&mut store, 1, 6, vec![6]);
    let expected = [without_three(), vec![vec![6]]].concat();
    assert_eq!(frames(&store, 1), expected);
    // As in a crash, before any checkpoint.
    drop(store);
    let mut store = open_refusing(dir.path());
    assert_eq!(frames(&store, 1), expected, "the chain does not reach the frames that were dropped");
    append_one(&mut store, 1, 7, vec![7]);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!((frames(&store, 1).len(), keys(&store, 9).len()), (7, 0));
    close(store);
    let store = open_refusing(dir.path());
    assert_eq!(frames(&store, 1).len(), 7);
    check_history(&store, 1, "after a drop and a checkpoint");
}

#[test]
fn frames_of_a_user_without_a_state_are_not_dropped_as_nothing_would_be_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open_refusing(dir.path());
    append_one(&mut store, 1, 1, b"panic".to_vec());
    store.closer.checkpoint().expect("a checkpoint");
    let key = keys(&store, 9)[0];
    assert_eq!(store.quarantine.inspect(key).expect("reads").state_sequence, None);
    assert!(matches!(store.quarantine.drop_frames(key), Err(QuarantineError::NothingLeft)));
    drop(store);
    let store = open(dir.path());
    store.quarantine.retry(key).expect("folds");
    assert_eq!(frames(&store, 1), [b"panic".to_vec()]);
    check_history(&store, 1, "a user's first fold");
}

const DIRECTORY: &str = "STORE_TEST_RELEASE_DIRECTORY";

/// Lets the users out of quarantine one after the other until it is killed. Users with an odd number fold, the others are
/// dropped. It is the process that the next test kills, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let store = open(&dir.join("data"));
    std::fs::write(dir.join("ready"), "").expect("written");
    for key in keys(&store, 200) {
        let number = number_of(&store, key);
        let released = if number % 2 == 1 { store.quarantine.retry(key) } else { store.quarantine.drop_frames(key) };
        released.expect("released");
        // What is acknowledged is there after the kill.
        std::fs::write(dir.join(format!("released-{number}")), "").expect("written");
    }
    std::fs::write(dir.join("done"), "").expect("written");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_kill_leaves_each_user_in_quarantine_with_all_frames_or_out_of_it() {
    const USERS: usize = 40;
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    quarantine_users(&dir.path().join("data"), USERS);
    for round in 0.. {
        let _ = std::fs::remove_file(dir.path().join("ready"));
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "release::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .spawn()
            .expect("a child");
        crate::kit::wait_for(|| dir.path().join("ready").exists());
        std::thread::sleep(Duration::from_micros(random.random_range(0..40_000)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let store = open(&dir.path().join("data"));
        let inside: Vec<_> = keys(&store, 9).into_iter().map(|key| (number_of(&store, key), key)).collect();
        for (number, key) in &inside {
            let inspected = store.quarantine.inspect(*key).expect("reads");
            let seen: Vec<_> = inspected.frames.iter().map(|frame| (frame.sequence, frame.folds)).collect();
            assert_eq!(seen, [(3, Some(true)), (4, Some(true)), (5, Some(true))], "user {number}, round {round}");
            assert!(!dir.path().join(format!("released-{number}")).exists(), "user {number} came back");
        }
        for number in (1..=USERS).filter(|number| number % 3 != 0) {
            if inside.iter().all(|(other, _)| *other != number) {
                let expected = if number % 2 == 1 { whole() } else { without_three() };
                assert_eq!(frames(&store, number), expected, "user {number}, round {round}");
            }
        }
        let is_done = inside.is_empty();
        drop(store);
        if is_done {
            return;
        }
    }
}

/// Takes its time over the frame `slow`.
fn take_time(frames: &[Record]) -> Result<(), StoreError> {
    if frames.iter().any(|record| record.body == b"slow") {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

#[test]
fn of_two_ways_out_that_are_taken_at_once_one_is_too_late() {
    let dir = tempfile::tempdir().expect("a directory");
    quarantine_users(dir.path(), 1);
    let fold = Arc::new(KeepAllAfter(take_time));
    let mut store = store::open(options(dir.path()), &master(), fold, SeededEntropy::new(1)).expect("opens");
    let key = keys(&store, 9)[0];
    append_one(&mut store, 2, 1, b"slow".to_vec());
    // Both find the user in quarantine, and wait until the checkpoint is over.
    let results = std::thread::scope(|scope| {
        scope.spawn(|| store.closer.checkpoint().expect("a checkpoint"));
        std::thread::sleep(Duration::from_millis(300));
        let ways: [fn(&store::Quarantine, UserKey) -> _; 2] =
            [store::Quarantine::retry, store::Quarantine::drop_frames];
        let quarantine = &*store.quarantine;
        ways.map(|way| scope.spawn(move || way(quarantine, key))).map(|thread| thread.join().expect("no panic"))
    });
    let late = results.iter().filter(|result| matches!(result, Err(QuarantineError::Unknown))).count();
    assert_eq!((late, results.iter().filter(|result| result.is_ok()).count()), (1, 1), "{results:?}");
    check_history(&store, 1, "after one of them");
}
