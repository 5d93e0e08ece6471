//! A disk that fails: no false acknowledgement, clear health, and recovery when it works again.

use std::path::Path;

use domain::port::journal::JournalError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Health, Store};

use crate::kit::faulty_disk::{FaultyDisk, Plan};
use crate::kit::{frames, open, options, record, seed, try_open};

const FOR_EVER: u32 = u32::MAX;

fn open_on(dir: &Path, disk: &FaultyDisk) -> Store {
    let mut options = options(dir);
    options.disk = std::sync::Arc::new(disk.clone());
    try_open(options, 1).expect("the store opens")
}

/// Appends the next frame of user 1, whose body is its sequence.
fn append(store: &mut Store, sequence: u64) -> Result<(), JournalError> {
    let verdicts = store.journal.append(&[record(1, sequence, sequence.to_le_bytes().to_vec())])?;
    verdicts[0].expect("in sequence");
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
    disk.set(Plan { path: "journal", syncs: 1, ..Plan::default() });
    append(&mut store, 2).expect("taken, in a new segment");
    assert!(disk.is_used_up());
    append(&mut store, 3).expect("taken");
    assert_eq!(store.status.health(), Health::Ok);
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
    disk.set(Plan { path: "journal", torn: 1, ..Plan::default() });
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
    disk.set(Plan { path: "journal", syncs: FOR_EVER, ..Plan::default() });
    assert!(matches!(append(&mut store, 2), Err(JournalError::UnknownFate(_))));
    assert!(matches!(store.status.health(), Health::RefusingWrites { .. }));
    disk.set(Plan::default());
    assert!(matches!(append(&mut store, 2), Err(JournalError::UnknownFate(_))), "until restart");
    assert_eq!(sequences(&store), [1], "readers see only what was acknowledged");
    store.closer.checkpoint().expect("what was acknowledged can be folded");
    drop(store);
    disk.crash();

    let mut store = open(dir.path());
    assert_eq!(store.status.health(), Health::Ok);
    assert_eq!(sequences(&store), [1]);
    append(&mut store, 2).expect("taken again");
}

#[test]
fn a_full_disk_takes_nothing_and_harms_nothing() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let mut store = open_on(dir.path(), &disk);
    append(&mut store, 1).expect("taken");
    disk.set(Plan { path: "journal", full: FOR_EVER, ..Plan::default() });
    for _ in 0..3 {
        assert!(matches!(append(&mut store, 2), Err(JournalError::NotTaken(_))));
        assert!(matches!(store.status.health(), Health::Degraded { .. }));
        assert_eq!(sequences(&store), [1]);
    }
    disk.set(Plan::default());
    append(&mut store, 2).expect("taken");
    assert_eq!(store.status.health(), Health::Ok);

    // No room for another segment, while this one has some left: what comes later must not end up behind its end.
    disk.set(Plan { path: "next.new", full: FOR_EVER, ..Plan::default() });
    let huge = [record(2, 1, vec![0; 400 << 10])];
    assert!(matches!(store.journal.append(&huge), Err(JournalError::NotTaken(_))));
    disk.set(Plan::default());
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
        Plan { path: "keyring", syncs: 2, ..Plan::default() },
        Plan { path: "keyring", full: 2, ..Plan::default() },
        Plan { path: "keyring", torn: 1, syncs: 1, ..Plan::default() },
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

/// Random faults at random moments, with a crash after each that takes away what was not synced.
#[test]
fn whatever_fails_acknowledged_frames_stay_and_refused_ones_stay_away() {
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
            disk.set(Plan {
                path: ["journal", "keyring", ""][random.random_range(0..3)],
                syncs: count(&mut random),
                full: count(&mut random),
                torn: count(&mut random),
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
            disk.set(Plan::default());
            disk.crash();
        }
    }
}
