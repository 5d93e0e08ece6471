//! An erasure destroys the key, leaves a tombstone, and lets another generation follow.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::erasure::{ErasureReason, Tombstone};
use domain::port::clock::Clock;
use domain::port::erasure::{ErasedUser, StoredUser};
use domain::port::journal::{JournalError, OutOfSequence, Record, RecordKind, RowId};
use domain::port::log::{LogPosition, NewestRecord};
use domain::port::store::{LoadedUser, StoreError};
use store::{Store, StoreOptions};

use crate::kit::clock::TestClock;
use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::*;
use crate::release::{keys, open_refusing};

fn tombstone(generation: u32, last_sequence: u64) -> Tombstone {
    Tombstone {
        generation,
        erased_at: 1_000 + i64::from(generation),
        reason: ErasureReason::Citizen,
        last_revision: last_sequence - 1,
        last_sequence,
        was_shared: false,
    }
}

fn erasure(number: usize, tombstone: &Tombstone) -> Record {
    let (generation, sequence) = (tombstone.generation, tombstone.last_sequence);
    let body = tombstone.encode().to_vec();
    Record { user: user(number), generation, sequence, kind: RecordKind::ERASURE, body }
}

/// Makes the tombstone durable. The key is still there.
#[track_caller]
fn append_erasure(store: &mut Store, number: usize, tombstone: &Tombstone) -> RowId {
    store.journal.append(&[erasure(number, tombstone)]).expect("taken")[0].expect("in sequence")
}

/// Makes the tombstone durable and destroys the key.
#[track_caller]
fn erase(store: &mut Store, number: usize, tombstone: Tombstone) -> RowId {
    let row = append_erasure(store, number, &tombstone);
    store.keys.forget(&ErasedUser { user: user(number), row, tombstone }).expect("forgotten");
    row
}

#[track_caller]
fn assert_erased(store: &Store, number: usize, expected: Tombstone, what: &str) {
    let mut loaded = Loaded::default();
    let found = store.reader.load_history(&user(number), 0, &mut loaded).expect("the store reads");
    let Some(LoadedUser::Erased { row, tombstone }) = found else { panic!("{what}: {found:?}") };
    assert_eq!(tombstone, expected, "{what}");
    assert!(loaded.state.is_none() && loaded.frames.is_empty() && loaded.blocks.is_empty(), "{what}");
    let stored = store.users.find(&user(number)).expect("the store reads");
    assert_eq!(stored, Some(StoredUser::Erased { row, tombstone }), "{what}");
}

/// Returns the frames of a user's present generation.
#[track_caller]
fn generation_frames(store: &Store, number: usize) -> (u64, Vec<Vec<u8>>) {
    let loaded = try_load(&*store.reader, number).expect("the store reads").expect("a user");
    let mut all = split(loaded.state.as_deref().unwrap_or_default()).expect("a state");
    all.extend(loaded.frames);
    (loaded.sequence, all)
}

fn next_generation(number: usize, generation: u32, sequence: u64, body: &[u8]) -> Record {
    Record { generation, ..record(number, sequence, body.to_vec()) }
}

#[test]
fn an_erased_user_stays_erased_over_checkpoints_and_starts_and_its_neighbours_live() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    for number in 0..3 {
        append_one(&mut store, number, 1, b"one".to_vec());
    }
    store.closer.checkpoint().expect("a checkpoint");
    append_one(&mut store, 1, 2, b"two".to_vec());
    let expected = tombstone(1, 3);
    erase(&mut store, 1, expected);
    assert_erased(&store, 1, expected, "at once");
    store.closer.checkpoint().expect("a checkpoint");
    assert_erased(&store, 1, expected, "after a checkpoint");
    let mut history = Loaded::default();
    store.reader.load_history(&user(1), 0, &mut history).expect("the store reads");
    close(store);
    let store = open(dir.path());
    assert_erased(&store, 1, expected, "after a start");
    for number in [0, 2] {
        assert_eq!(frames(&store, number), [b"one"]);
        assert!(matches!(store.users.find(&user(number)), Ok(Some(StoredUser::Living { generation: 1, .. }))));
    }
    assert_eq!(store.users.find(&user(9)).expect("the store reads"), None);
}

#[test]
fn a_start_destroys_the_key_of_a_tombstone_that_a_crash_has_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    let expected = tombstone(1, 2);
    let row = append_erasure(&mut store, 0, &expected);
    assert_eq!(slot_state(dir.path(), row), 1, "the key is there");
    assert_erased(&store, 0, expected, "with its key");
    drop(store);
    let store = open(dir.path());
    assert_eq!(slot_state(dir.path(), row), 2, "the key was destroyed");
    assert_erased(&store, 0, expected, "after a crash");
}

#[test]
fn a_checkpoint_destroys_the_key_before_the_journal_forgets_the_tombstone() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    let row = append_erasure(&mut store, 0, &tombstone(1, 2));
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(slot_state(dir.path(), row), 2);
    drop(store);
    assert_erased(&open(dir.path()), 0, tombstone(1, 2), "after a crash");
}

#[test]
fn a_key_is_destroyed_once_more_if_it_may_be_on_the_disk_still() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let options = StoreOptions { disk: Arc::new(disk.clone()), ..options(dir.path()) };
    let mut store = try_open(options, 1).expect("the store opens");
    append_one(&mut store, 0, 1, b"one".to_vec());
    let tombstone = tombstone(1, 2);
    let row = append_erasure(&mut store, 0, &tombstone);
    let erased = ErasedUser { user: user(0), row, tombstone };
    disk.set(FaultPlan { path: "keyring", syncs: 1, ..FaultPlan::default() });
    assert!(store.keys.forget(&erased).is_err() && disk.is_used_up());
    assert_eq!(slot_state(dir.path(), row), 2, "until a power cut it looks destroyed");
    store.keys.forget(&erased).expect("forgotten");
    let syncs = disk.syncs("keyring");
    store.keys.forget(&erased).expect("forgotten");
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(disk.syncs("keyring"), syncs, "once is enough");
    drop(store);
    disk.crash();
    assert_eq!(slot_state(dir.path(), row), 2);
    assert_erased(&open(dir.path()), 0, tombstone, "after a power cut");
}

#[test]
fn an_erasure_that_is_finished_late_leaves_the_next_life_in_quarantine() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open_refusing(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    let tombstone = tombstone(1, 2);
    let row = erase(&mut store, 0, tombstone);
    append_group(&mut store, &[next_generation(0, 2, 3, b"panic")]);
    store.closer.checkpoint().expect("a checkpoint");
    let held = keys(&store, 9);
    assert_eq!(held.len(), 1);
    store.keys.forget(&ErasedUser { user: user(0), row, tombstone }).expect("forgotten");
    assert_eq!(keys(&store, 9), held);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.quarantine.retry(held[0]).expect("it folds now").folded, 1);
    assert_eq!(generation_frames(&store, 0), (3, vec![b"panic".to_vec()]));
}

#[test]
fn the_next_generation_continues_the_sequence_in_the_same_row_and_sees_nothing_of_the_last() {
    for checkpoints in 0..8_u32 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = open(dir.path());
        let checkpoint = |store: &Store, step: u32| {
            if checkpoints & 1 << step != 0 {
                store.closer.checkpoint().expect("a checkpoint");
            }
        };
        for sequence in 1..=6 {
            append_one(&mut store, 0, sequence, vec![sequence as u8; 40]);
        }
        checkpoint(&store, 0);
        let row = erase(&mut store, 0, tombstone(1, 7));
        checkpoint(&store, 1);
        let group = [next_generation(0, 2, 8, b"new"), next_generation(0, 2, 9, b"newer")];
        let rows: Vec<_> = store.journal.append(&group).expect("taken").into_iter().collect();
        assert_eq!(rows, [Ok(row), Ok(row)]);
        assert_eq!(generation_frames(&store, 0), (9, vec![b"new".to_vec(), b"newer".to_vec()]), "{checkpoints}");
        checkpoint(&store, 2);
        assert_eq!(generation_frames(&store, 0), (9, vec![b"new".to_vec(), b"newer".to_vec()]), "{checkpoints}");
        let history = load_history(&*store.reader, 0, 0).expect("a user");
        assert!(history.blocks.len() <= 1 && history.base.is_none(), "{checkpoints}: history of the last generation");
        drop(store);
        let mut store = open(dir.path());
        assert_eq!(generation_frames(&store, 0), (9, vec![b"new".to_vec(), b"newer".to_vec()]), "{checkpoints}");
        // And once more.
        erase(&mut store, 0, tombstone(2, 10));
        assert_erased(&store, 0, tombstone(2, 10), "the second time");
        store.closer.checkpoint().expect("a checkpoint");
        assert_eq!(append_group(&mut store, &[next_generation(0, 3, 11, b"third")]), [Ok(())]);
        close(store);
        assert_eq!(generation_frames(&open(dir.path()), 0), (11, vec![b"third".to_vec()]), "{checkpoints}");
    }
}

#[test]
fn many_lives_begin_with_one_sync_of_the_keyring_and_with_none_that_failed() {
    const USERS: usize = 20;
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let open_on_disk = || {
        let options = StoreOptions { disk: Arc::new(disk.clone()), ..options(dir.path()) };
        try_open(options, 1).expect("the store opens")
    };
    let mut store = open_on_disk();
    for number in 0..USERS {
        append_one(&mut store, number, 1, b"the first life".to_vec());
        erase(&mut store, number, tombstone(1, 2));
    }
    let registrations: Vec<_> = (0..USERS).map(|number| next_generation(number, 2, 3, b"the second life")).collect();
    disk.set(FaultPlan { path: "keyring", syncs: 1, ..FaultPlan::default() });
    assert!(matches!(store.journal.append(&registrations), Err(JournalError::NotTaken(_))));
    assert!(disk.is_used_up());
    let before = disk.syncs("keyring");
    let begun = store.journal.append(&registrations).expect("taken");
    assert!(begun.iter().all(Result::is_ok));
    assert_eq!(disk.syncs("keyring") - before, 1, "for all of them");
    drop(store);
    disk.crash();
    let store = open_on_disk();
    for number in 0..USERS {
        assert_eq!(generation_frames(&store, number), (3, vec![b"the second life".to_vec()]), "{number}");
    }
}

#[test]
fn the_journal_refuses_what_does_not_follow_an_erasure() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    let refused = |expected| [Err(OutOfSequence { expected })];
    assert_eq!(append_group(&mut store, &[erasure(5, &tombstone(1, 1))]), refused(1), "nobody is erased");
    assert_eq!(append_group(&mut store, &[next_generation(0, 2, 2, b"x")]), refused(2), "the user lives");
    assert_eq!(append_group(&mut store, &[erasure(0, &tombstone(2, 2))]), refused(2), "of another generation");
    for checkpoint in [false, true] {
        if checkpoint {
            store.closer.checkpoint().expect("a checkpoint");
        } else {
            erase(&mut store, 0, tombstone(1, 2));
        }
        assert_eq!(append_group(&mut store, &[record(0, 3, b"x".to_vec())]), refused(3), "the same generation");
        assert_eq!(append_group(&mut store, &[next_generation(0, 3, 3, b"x")]), refused(3), "the one after the next");
        assert_eq!(append_group(&mut store, &[next_generation(0, 2, 1, b"x")]), refused(3), "from the start");
        assert_eq!(append_group(&mut store, &[erasure(0, &tombstone(2, 3))]), refused(3), "a second erasure");
    }
    let group = [record(1, 1, b"a".to_vec()), erasure(1, &tombstone(1, 2)), next_generation(1, 2, 3, b"b")];
    assert_eq!(append_group(&mut store, &group), [Ok(()), Ok(()), Ok(())], "all in one group");
    assert_eq!(generation_frames(&store, 1), (3, vec![b"b".to_vec()]));
}

#[test]
fn followers_read_the_erasure_and_no_frame_of_the_generation() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    append_one(&mut store, 1, 1, b"other".to_vec());
    erase(&mut store, 0, tombstone(1, 2));
    append_group(&mut store, &[next_generation(0, 2, 3, b"new")]);
    let batch = store.log.read(store.log.oldest(), LogPosition(u64::MAX), 1 << 20).expect("a batch");
    let read: Vec<_> = batch.entries.iter().map(|entry| (entry.record.user, entry.record.kind)).collect();
    let change = RecordKind::CHANGE;
    assert_eq!(read, [(user(1), change), (user(0), RecordKind::ERASURE), (user(0), change)]);
    assert_eq!(batch.entries[1].record.body, tombstone(1, 2).encode());
    assert_eq!(batch.sealed, 0);
    for number in [0, 1] {
        let expected =
            if number == 0 { NewestRecord { sequence: 3, erased: 1 } } else { NewestRecord { sequence: 1, erased: 0 } };
        assert_eq!(store.log.newest(&user(number)).expect("the store reads"), expected);
    }
}

#[test]
fn data_from_before_an_erasure_stays_erased_beside_the_keyring_of_today() {
    let (dir, older) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    append_one(&mut store, 1, 1, b"other".to_vec());
    close(store);
    copy(dir.path(), older.path());
    let mut store = open(dir.path());
    append_one(&mut store, 0, 2, b"two".to_vec());
    erase(&mut store, 0, tombstone(1, 3));
    close(store);
    std::fs::copy(dir.path().join("keyring"), older.path().join("keyring")).expect("copied");
    let mut restored = open(older.path());
    assert_erased(&restored, 0, tombstone(1, 3), "restored");
    assert_eq!(frames(&restored, 1), [b"other"]);
    assert_eq!(append_group(&mut restored, &[next_generation(0, 2, 4, b"new")]), [Ok(())]);
    restored.closer.checkpoint().expect("a checkpoint");
    assert_eq!(generation_frames(&restored, 0), (4, vec![b"new".to_vec()]));
}

#[test]
fn an_erasure_whose_tombstone_nobody_has_is_not_before_any_event_of_the_life_and_continues_its_revisions() {
    let (dir, older) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    close(store);
    copy(dir.path(), older.path());
    let mut store = open(dir.path());
    erase(&mut store, 0, tombstone(1, 2));
    append_group(&mut store, &[next_generation(0, 2, 3, b"new")]);
    close(store);
    // The key of the next life is in the slot, where the tombstone was.
    std::fs::copy(dir.path().join("keyring"), older.path().join("keyring")).expect("copied");
    let (clock, future_tolerance) = (TestClock::at_day(20_000), Duration::from_secs(60));
    let options = StoreOptions { clock: Some(clock.clone()), future_tolerance, ..options(older.path()) };
    let restored = try_open(options, 1).expect("the store opens");
    let expected = Tombstone {
        generation: 2,
        erased_at: clock.now_micros() + 60_000_000,
        reason: ErasureReason::Restored,
        // After a loss, a revision may be twice the sequence.
        last_revision: 2,
        last_sequence: 1,
        was_shared: false,
    };
    assert_erased(&restored, 0, expected, "restored");
}

#[test]
fn data_that_is_newer_than_the_keyring_is_damaged_and_not_erased() {
    let (dir, older) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut store = open(dir.path());
    append_one(&mut store, 0, 1, b"one".to_vec());
    std::fs::copy(dir.path().join("keyring"), older.path().join("keyring")).expect("copied");
    erase(&mut store, 0, tombstone(1, 2));
    append_group(&mut store, &[next_generation(0, 2, 3, b"new")]);
    close(store);
    std::fs::copy(older.path().join("keyring"), dir.path().join("keyring")).expect("copied");
    let store = open(dir.path());
    let found = store.reader.load(&user(0), &mut Loaded::default());
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
}

/// Copies a closed data directory.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&to).expect("made");
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// Returns the state of a slot in the file: 1 with a key, 2 destroyed.
pub(crate) fn slot_state(dir: &Path, row: RowId) -> u8 {
    std::fs::read(dir.join("keyring")).expect("a keyring")
        [layout::KEYRING_HEADER_BYTES + row.0 as usize * layout::SLOT_BYTES]
}

#[test]
fn a_user_of_whom_there_is_nothing_but_frames_in_quarantine_can_be_erased() {
    let dir = tempfile::tempdir().expect("a directory");
    let refuses =
        || std::sync::Arc::new(KeepAllAfter(|_: &[Record]| Err(StoreError::Damaged { what: "no".to_owned() })));
    let mut store = store::open(options(dir.path()), &master(), refuses(), SeededEntropy::new(1)).expect("opens");
    append_group(&mut store, &[record(0, 1, vec![1]), record(0, 2, vec![2])]);
    close(store);
    // The journal has its frames no more.
    let mut store = store::open(options(dir.path()), &master(), refuses(), SeededEntropy::new(1)).expect("opens");
    assert!(matches!(store.users.find(&user(0)).expect("reads"), Some(StoredUser::Living { generation: 1, .. })));
    assert_eq!(store.log.newest(&user(0)).expect("reads").sequence, 2);
    erase(&mut store, 0, tombstone(1, 3));
    assert_erased(&store, 0, tombstone(1, 3), "erased");
    close(store);
    assert_erased(&open(dir.path()), 0, tombstone(1, 3), "after a restart");
}

#[test]
fn a_user_in_quarantine_can_be_erased_and_begins_anew() {
    for checkpoint in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let refuses = KeepAllAfter(|frames: &[Record]| match frames.iter().any(|frame| frame.body == b"bad") {
            true => Err(StoreError::Damaged { what: "injected".to_owned() }),
            false => Ok(()),
        });
        let fold = std::sync::Arc::new(refuses);
        let mut store = store::open(options(dir.path()), &master(), fold, SeededEntropy::new(1)).expect("opens");
        append_one(&mut store, 0, 1, b"good".to_vec());
        store.closer.checkpoint().expect("a checkpoint");
        append_one(&mut store, 0, 2, b"bad".to_vec());
        store.closer.checkpoint().expect("a checkpoint");
        assert!(try_load(&*store.reader, 0).is_err(), "in quarantine");
        assert_eq!(append_group(&mut store, &[record(0, 3, b"next".to_vec())]), [Err(OutOfSequence { expected: 0 })]);
        erase(&mut store, 0, tombstone(1, 3));
        if checkpoint {
            store.closer.checkpoint().expect("a checkpoint");
        }
        assert_erased(&store, 0, tombstone(1, 3), "erased");
        append_group(&mut store, &[next_generation(0, 2, 4, b"new")]);
        close(store);
        assert_eq!(generation_frames(&open(dir.path()), 0), (4, vec![b"new".to_vec()]), "{checkpoint}");
    }
}
