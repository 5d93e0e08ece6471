//! Rotation of the keys of a store that is in use.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use store::{KeyRotationError, MasterKey, OpenError};

use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::{
    KeepAll, SeededEntropy, append_one, check_history, close, frames, master, open, options, record, try_open,
};

const USERS: usize = 3000;

fn body(number: usize, sequence: u64) -> Vec<u8> {
    format!("{number}/{sequence}").into_bytes()
}

/// A master key with a second version.
fn newer() -> MasterKey {
    master().with_version(2, [0x43; 32])
}

/// Returns whether a file below `dir` has the bytes.
fn is_anywhere(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return is_anywhere(&path, bytes);
        }
        fs::read(path).expect("a file").windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn both_keys_rotate_while_users_are_added_read_and_checkpointed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let keys = store.closer.keys();
    for number in 0..USERS {
        append_one(&mut store, number, 1, body(number, 1));
    }
    store.closer.checkpoint().expect("a checkpoint");
    let old = fs::read(dir.path().join("keyring")).expect("the keyring");
    let (wrapped_ring_key, wrapped_data_key) = (&old[28..76], &old[8192 + 8..8192 + 56]);

    let has_ended = AtomicBool::new(false);
    let added = thread::scope(|scope| {
        let rotation = scope.spawn(|| {
            let report = keys.rotate_ring(&master()).expect("rotated");
            assert!((report.number, report.damaged) == (2, 0) && report.keys >= USERS as u64, "{report:?}");
            keys.rotate_master(&newer()).expect("rotated");
            let report = keys.rotate_ring(&newer()).expect("rotated");
            has_ended.store(true, Ordering::Relaxed);
            report
        });
        let mut added = 0;
        while !has_ended.load(Ordering::Relaxed) && !rotation.is_finished() {
            let group: Vec<_> = (0..50).map(|index| USERS + added + index).collect();
            let group: Vec<_> = group.iter().map(|number| record(*number, 1, body(*number, 1))).collect();
            for result in store.journal.append(&group).expect("taken") {
                result.expect("in sequence");
            }
            added += group.len();
            let number = added % USERS;
            assert_eq!(frames(&store, number), [body(number, 1)]);
            store.closer.reseal_projection().expect("a slot is destroyed");
        }
        assert_eq!(rotation.join().expect("no panic").number, 3);
        added
    });
    assert!(added > 0);
    assert!(!is_anywhere(dir.path(), wrapped_ring_key) && !is_anywhere(dir.path(), wrapped_data_key));
    let status = keys.status();
    assert_eq!((status.master.version, status.ring.version, status.rotation), (2, 3, None));
    drop(keys);
    close(store);

    let refused = try_open(options(dir.path()), 2).err().expect("refused");
    assert!(matches!(refused, OpenError::MasterKeyMissing { wanted: 2, .. }), "{refused}");
    let wrong = MasterKey::new(2, [0x44; 32]);
    let reopen = |master: &MasterKey| {
        store::open(options(dir.path()), master, std::sync::Arc::new(KeepAll), SeededEntropy::new(3))
    };
    let refused = reopen(&wrong).err().expect("refused");
    assert!(matches!(refused, OpenError::WrongMasterKey { version: 2 }), "{refused}");
    let store = reopen(&newer()).expect("opens");
    for number in 0..USERS + added {
        assert_eq!(frames(&store, number), [body(number, 1)], "user {number}");
        check_history(&store, number, "after rotations");
    }
}

#[test]
fn a_disk_that_fails_at_any_write_of_a_rotation_leaves_the_keys_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = FaultyDisk::default();
    let mut options = options(dir.path());
    options.disk = std::sync::Arc::new(disk.clone());
    let mut store = try_open(options, 1).expect("opens");
    append_one(&mut store, 0, 1, body(0, 1));
    let keys = store.closer.keys();
    let mut failures = 0;
    for after_writes in 0..100 {
        let mut has_failed = false;
        for plan in [
            FaultPlan { full: 1, ..FaultPlan::default() },
            FaultPlan { torn: 1, ..FaultPlan::default() },
            FaultPlan { syncs: 1, ..FaultPlan::default() },
        ] {
            disk.set(FaultPlan { path: "keyring", after_writes, ..plan });
            let before = keys.status();
            let rotated = keys.rotate_ring(&master());
            disk.set(FaultPlan::default());
            match rotated {
                Ok(_) => assert_eq!(keys.status().ring.version, before.ring.version + 1),
                // The old file is not removed yet, or the key before stays.
                Err(KeyRotationError::Unfinished { .. }) => has_failed = true,
                Err(error) => {
                    assert_eq!(keys.status(), before, "{error}");
                    has_failed = true;
                }
            }
            assert_eq!(frames(&store, 0), [body(0, 1)]);
        }
        failures += usize::from(has_failed);
        if !has_failed {
            break;
        }
    }
    assert!((3..99).contains(&failures), "{failures}");
    // Syncs of names.
    for name_syncs in 1..4 {
        disk.set(FaultPlan { path: "", name_syncs, ..FaultPlan::default() });
        assert!(keys.rotate_ring(&master()).is_err());
        disk.set(FaultPlan::default());
        append_one(&mut store, name_syncs as usize, 1, body(name_syncs as usize, 1));
        keys.rotate_ring(&master()).expect("rotated");
    }
    drop(keys);
    close(store);
    assert!(!dir.path().join("keyring.next").exists() && !dir.path().join("keyring.replaced").exists());
    let store = open(dir.path());
    for number in 0..4 {
        assert_eq!(frames(&store, number), [body(number, 1)]);
    }
}

#[test]
fn a_closed_store_rotates_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let keys = store.closer.keys();
    close(store);
    let refused = keys.rotate_ring(&master()).expect_err("refused");
    assert!(matches!(refused, KeyRotationError::Stopped), "{refused}");
    drop(keys);
    drop(open(dir.path()));
}
