//! A disk that fails: no false acknowledgement, clear health, and recovery when it works again.

use std::path::Path;

use domain::port::journal::JournalError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Store, StoreHealth};

use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::{append_one, frames, open, options, record, seed, segments, try_open, wait_for};

const FOR_EVER: u32 = u32::MAX;

fn open_on(dir: &Path, disk: &FaultyDisk) -> Store {
    let mut options = options(dir);
    options.disk = std::sync::Arc::new(disk.clone());
    try_open(options, 1).expect("the store opens")
}

/// Appends the next frame of user 1, whose body is its sequence.
fn append(store: &mut Store, sequence: u64) -> Result<(), JournalError> {
    let results = store.journal.append(&[record(1, sequence, sequence.to_le_bytes().to_vec())])?;
    results[0].expect("in sequence");
    Ok(())
}

fn sequences(store: &Store) -> Vec<u64> {
    frames(store, 1).iter().map(|body| u64::from_le_bytes(body[..].try_into().expect("eight bytes"))).collect()
}

#[test]
fn a_sync_that_fails_once_costs_nothing_and_loses_nothing() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "journal", syncs: 1, ..FaultPlan::default() });
    append(&mut store, 2).expect("taken, in a new segment");
    assert!(disk.is_used_up());
    append(&mut store, 3).expect("taken");
    assert_eq!(store.status.health(), StoreHealth::Ok);
    assert_eq!(sequences(&store), [1, 2, 3]);
    drop(store);
    disk.crash();
    let mut store = open(dir.path());
    assert_eq!(sequences(&store), [1, 2, 3]);
    append(&mut store, 4).expect("taken");
}

#[test]
fn a_write_that_stops_halfway_is_repeated_elsewhere() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "journal", torn: 1, ..FaultPlan::default() });
    append(&mut store, 2).expect("taken, in a new segment");
    assert!(disk.is_used_up());
    append(&mut store, 3).expect("taken");
    assert_eq!(sequences(&store), [1, 2, 3]);
    drop(store);
    assert_eq!(sequences(&open(dir.path())), [1, 2, 3]);
}

#[test]
fn a_sync_that_fails_for_ever_refuses_writes_until_restart() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "journal", syncs: FOR_EVER, ..FaultPlan::default() });
    assert!(matches!(append(&mut store, 2), Err(JournalError::UnknownFate(_))));
    assert!(matches!(store.status.health(), StoreHealth::RefusingWrites { .. }));
    disk.set(FaultPlan::default());
    assert!(matches!(append(&mut store, 2), Err(JournalError::UnknownFate(_))), "until restart");
    assert_eq!(sequences(&store), [1], "readers see only what was acknowledged");
    store.closer.checkpoint().expect("what was acknowledged can be folded");
    drop(store);
    disk.crash();

    let mut store = open(dir.path());
    assert_eq!(store.status.health(), StoreHealth::Ok);
    assert_eq!(sequences(&store), [1]);
    append(&mut store, 2).expect("taken again");
}

#[test]
fn a_full_disk_takes_nothing_and_harms_nothing() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "journal", full: FOR_EVER, ..FaultPlan::default() });
    for _ in 0..3 {
        assert!(matches!(append(&mut store, 2), Err(JournalError::NotTaken(_))));
        assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
        assert_eq!(sequences(&store), [1]);
    }
    disk.set(FaultPlan::default());
    append(&mut store, 2).expect("taken");
    // The next segment is prepared in the background.
    wait_for(|| store.status.health() == StoreHealth::Ok);

    // There is no space for another segment, but some in this one: later groups must not be written behind its end.
    disk.set(FaultPlan { path: "next.new", full: FOR_EVER, ..FaultPlan::default() });
    let huge = [record(2, 1, vec![0; 400 << 10])];
    assert!(matches!(store.journal.append(&huge), Err(JournalError::NotTaken(_))));
    disk.set(FaultPlan::default());
    append(&mut store, 3).expect("taken");
    store.journal.append(&huge).expect("taken")[0].expect("in sequence");
    drop(store);
    let store = open(dir.path());
    assert_eq!(sequences(&store), [1, 2, 3]);
    assert_eq!(frames(&store, 2).len(), 1);
}

#[test]
fn a_keyring_that_fails_takes_no_new_user_until_it_works() {
    for plan in [
        FaultPlan { path: "keyring", syncs: 2, ..FaultPlan::default() },
        FaultPlan { path: "keyring", full: 2, ..FaultPlan::default() },
        FaultPlan { path: "keyring", torn: 1, syncs: 1, ..FaultPlan::default() },
    ] {
        let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
        let mut store = open_on(dir.path(), &disk);
        disk.set(plan.clone());
        assert!(matches!(append(&mut store, 1), Err(JournalError::NotTaken(_))), "{plan:?}");
        if plan.torn > 0 {
            continue; // The faulty file stays torn.
        }
        assert!(matches!(append(&mut store, 1), Err(JournalError::NotTaken(_))), "{plan:?}");
        append(&mut store, 1).expect("taken");
        drop(store);
        disk.crash();
        assert_eq!(sequences(&open(dir.path())), [1], "{plan:?}");
    }
}

/// Injects random faults at random moments. A crash that loses what was not synced follows each of them.
#[test]
fn acknowledged_frames_survive_all_faults_and_refused_ones_are_never_found() {
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..40 {
        let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
        let (mut acknowledged, mut uncertain) = (0, 0);
        for _ in 0..3 {
            let mut store = open_on(dir.path(), &disk);
            let found = sequences(&store);
            assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
            let last = found.len() as u64;
            assert!((acknowledged..=acknowledged + uncertain).contains(&last), "{last}, not {acknowledged}");
            (acknowledged, uncertain) = (last, 0);
            let count =
                |random: &mut StdRng| if random.random_bool(0.2) { FOR_EVER } else { random.random_range(0..2) };
            disk.set(FaultPlan {
                path: ["journal", "keyring", ""][random.random_range(0..3)],
                syncs: count(&mut random),
                full: count(&mut random),
                torn: count(&mut random),
                short: random.random_range(0..2),
                no_space: random.random_bool(0.2),
                space_by_removal: random.random_bool(0.5),
                no_removal: false,
                name_syncs: random.random_range(0..2),
                loses_pages: false,
                after_writes: random.random_range(0..30),
            });
            for _ in 0..20 {
                match append(&mut store, acknowledged + 1) {
                    Ok(()) => acknowledged += 1,
                    Err(JournalError::NotTaken(_)) => {}
                    Err(JournalError::UnknownFate(_)) => uncertain = 1,
                }
                if random.random_bool(0.1) {
                    store.closer.checkpoint().expect("sled does not fail here");
                }
            }
            assert_eq!(sequences(&store).len() as u64, acknowledged);
            drop(store);
            disk.set(FaultPlan::default());
            disk.crash();
        }
    }
}

#[test]
fn a_keyring_on_a_full_disk_refuses_only_new_users() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "keyring", full: FOR_EVER, ..FaultPlan::default() });
    let mut group: Vec<_> = (10..3000).map(|number| record(number, 1, vec![1])).collect();
    group.push(record(1, 2, 2_u64.to_le_bytes().to_vec()));
    let results = store.journal.append(&group).expect("taken");
    assert!(results.last().is_some_and(Result::is_ok), "a user who has a slot is served");
    let refused = results.iter().filter(|result| result.is_err()).count();
    assert!(refused > 1000, "{refused} of 2,990 new users");
    assert!(!store.status.takes_writes(), "readiness says so");
    disk.set(FaultPlan::default());
    let again: Vec<_> = (10..3000).filter(|number| frames(&store, *number).is_empty()).collect();
    assert_eq!(again.len(), refused, "refused users are not there");
    let group: Vec<_> = again.iter().map(|number| record(*number, 1, vec![1])).collect();
    assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
    assert!(store.status.takes_writes());
}

/// Fills segments that are in a checkpoint, so that they are kept only for followers.
fn with_folded_segments(dir: &Path, disk: &FaultyDisk) -> Store {
    let mut options = options(dir);
    options.disk = std::sync::Arc::new(disk.clone());
    options.retain_journal_bytes = 1 << 40;
    let mut store = try_open(options, 1).expect("the store opens");
    for sequence in 1..=40 {
        append_one(&mut store, 7, sequence, vec![7; 20_000]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    assert!(segments(dir) > 2);
    store
}

#[test]
fn a_keyring_on_a_full_disk_takes_the_space_of_segments_for_followers() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = with_folded_segments(dir.path(), &disk);
    let before = segments(dir.path());
    disk.set(FaultPlan { path: "keyring", full: 1, ..FaultPlan::default() });
    let group: Vec<_> = (10..3000).map(|number| record(number, 1, vec![1])).collect();
    assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
    assert!(disk.is_used_up() && segments(dir.path()) < before);
}

#[test]
fn a_write_that_fills_the_disk_takes_the_space_of_segments_for_followers() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = with_folded_segments(dir.path(), &disk);
    let before = segments(dir.path());
    // The prepared segment takes the first group, and only a removal frees space for another one.
    for (sequence, no_space) in [(1, true), (2, false)] {
        disk.set(FaultPlan { path: "journal", short: 1, no_space, space_by_removal: true, ..FaultPlan::default() });
        append(&mut store, sequence).expect("taken");
        assert!(disk.is_used_up());
        wait_for(|| segments(dir.path()) < before);
    }
    assert!(store.status.takes_writes());
    drop(store);
    assert_eq!(sequences(&open(dir.path())), [1, 2]);
}

#[test]
fn a_write_that_fills_the_disk_is_not_taken_and_the_store_recovers() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    // The prepared segment takes the first group, and no other can be created.
    disk.set(FaultPlan { path: "journal", short: 1, no_space: true, ..FaultPlan::default() });
    append(&mut store, 2).expect("taken, in the next segment");
    disk.set(FaultPlan { path: "journal", short: 1, no_space: true, ..FaultPlan::default() });
    let group = [record(1, 3, 3_u64.to_le_bytes().to_vec()), record(9, 1, vec![9; 3000])];
    assert!(matches!(store.journal.append(&group), Err(JournalError::NotTaken(_))));
    assert!(disk.is_used_up());
    assert!(!store.status.takes_writes());
    assert!(!matches!(store.status.health(), StoreHealth::RefusingWrites { .. }), "not for good");
    // Nothing of the group is there after a crash.
    let crashed = tempfile::tempdir().expect("a directory");
    copy(dir.path(), crashed.path());
    let after = open(crashed.path());
    assert_eq!((sequences(&after), frames(&after, 9).len()), (vec![1, 2], 0));
    drop(after);

    disk.set(FaultPlan::default());
    append(&mut store, 3).expect("taken");
    wait_for(|| store.status.health() == StoreHealth::Ok);
    drop(store);
    assert_eq!(sequences(&open(dir.path())), [1, 2, 3]);
}

/// Copies a data directory as a crash would leave it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            std::fs::create_dir(&to).expect("a folder");
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("a copy");
        }
    }
}

#[test]
fn a_failed_sync_loses_nothing_of_the_page_before_it() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    for sequence in 1..=3 {
        append(&mut store, sequence).expect("taken");
    }
    for sequence in 4..=8 {
        disk.set(FaultPlan { path: "journal", syncs: 1, loses_pages: true, ..FaultPlan::default() });
        append(&mut store, sequence).expect("taken, in a new segment");
        assert!(disk.is_used_up());
    }
    // The failed sync may have been the one of the segment that is prepared in the background, which is then tried again.
    wait_for(|| store.status.health() == StoreHealth::Ok);
    drop(store);
    disk.crash();
    assert_eq!(sequences(&open(dir.path())), (1..=8).collect::<Vec<_>>());
}

/// Appends to a disk that is full in the middle of a write, on which the new segment's name cannot be made durable
/// `name_syncs` times.
fn append_without_names(name_syncs: u32) -> (Result<(), JournalError>, Vec<u64>) {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(FaultPlan { path: "journal", short: 1, name_syncs, ..FaultPlan::default() });
    let appended = append(&mut store, 2);
    assert!(disk.is_used_up());
    let crashed = tempfile::tempdir().expect("a directory");
    copy(dir.path(), crashed.path());
    (appended, sequences(&open(crashed.path())))
}

#[test]
fn a_group_that_was_not_taken_is_not_left_in_a_segment_whose_name_failed() {
    let (appended, found) = append_without_names(1);
    assert!(matches!(appended, Err(JournalError::NotTaken(_))), "{appended:?}");
    assert_eq!(found, [1]);
    let (appended, _) = append_without_names(2);
    assert!(matches!(appended, Err(JournalError::UnknownFate(_))), "it may be there: {appended:?}");
}

#[test]
fn a_segment_that_cannot_be_removed_delays_nothing_else() {
    use std::os::unix::fs::MetadataExt;
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    for sequence in 1..=40 {
        append_one(&mut store, 7, sequence, vec![7; 20_000]);
    }
    // sled's reserve is created again whenever sled is reopened.
    let reserve = || std::fs::metadata(dir.path().join("reserve")).expect("the reserve").ino();
    let (before, count) = (reserve(), segments(dir.path()));
    disk.set(FaultPlan { path: ".segment", no_removal: true, ..FaultPlan::default() });
    store.closer.checkpoint().expect_err("the segments stay");
    assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
    assert_eq!(store.reader.unfolded_bytes(), 0, "feeds do not wait for the removal");
    assert_eq!((reserve(), segments(dir.path())), (before, count));
    disk.set(FaultPlan::default());
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(store.status.health(), StoreHealth::Ok);
    assert!(segments(dir.path()) < count);
    disk.set(FaultPlan { path: ".segment", no_removal: true, ..FaultPlan::default() });
    for sequence in 41..=80 {
        append_one(&mut store, 7, sequence, vec![7; 20_000]);
    }
    store.closer.close().expect("the last checkpoint is complete");
}

#[test]
fn a_full_disk_does_not_stop_writes_that_need_the_next_segment() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    disk.set(FaultPlan { path: "journal", no_space: true, ..FaultPlan::default() });
    let mut taken = 0;
    while let Ok(results) = store.journal.append(&[record(1, taken + 1, vec![1; 20_000])]) {
        results[0].expect("in sequence");
        taken += 1;
    }
    assert!(taken > 13, "{taken} groups of 20,000 bytes: more than a segment has");
    assert!(!store.status.takes_writes());
    disk.set(FaultPlan::default());
    // Nothing is written meanwhile.
    wait_for(|| store.status.takes_writes());
    append_one(&mut store, 1, taken + 1, vec![1]);
}
