//! Rotations, while slots are used, and interrupted at every operation of the disk.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::*;
use crate::disk::RealDisk;
use crate::test_kit::{CrashingDisk, TestEntropy};

const NOW: i64 = 1_000_000;
const LATER: i64 = 2_000_000;

fn first() -> MasterKey {
    MasterKey::new(1, [7; 32])
}

fn both() -> MasterKey {
    first().with_version(2, [8; 32])
}

fn open(disk: Arc<dyn Disk>, dir: &Path, master: &MasterKey) -> Result<Keyring, OpenError> {
    Keyring::open(&disk, dir, master, Arc::new(TestEntropy::new(rand::random())))
}

/// Returns a directory with a directory in it, in which a keyring is: removed files are kept beside.
fn fresh() -> (TempDir, PathBuf, Keyring) {
    let above = tempfile::tempdir().expect("a directory");
    let dir = above.path().join("data");
    fs::create_dir(&dir).expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Keyring::create(&disk, &dir, &first(), NOW, &TestEntropy::new(1)).expect("creates");
    let keyring = open(disk, &dir, &first()).expect("opens");
    (above, dir, keyring)
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("text");
    fs::read_dir(dir).expect("a directory").map(name).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Returns a seed, from the clock, or from `STORE_TEST_SEED` to repeat a run. It is printed.
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment, or from the clock")]
fn seed() -> u64 {
    let seed = match std::env::var("STORE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("a date").as_nanos() as u64,
    };
    #[expect(clippy::print_stderr, reason = "the harness shows it when the test fails")]
    {
        eprintln!("seed: STORE_TEST_SEED={seed}");
    }
    seed
}

#[test]
fn a_new_ring_key_wraps_every_slot_again_and_nothing_of_the_old_file_is_left() {
    let (_above, dir, keyring) = fresh();
    let slots = keyring.take(3000).expect("slots");
    keyring.destroy(slots[7].slot, 1).expect("destroyed");
    let before = fs::read(dir.join(FILE_NAME)).expect("the file");
    let report = keyring.replace_ring(&first(), LATER).expect("rotated");
    assert_eq!((report.number, report.damaged), (2, 0));
    let status = keyring.key_status();
    assert_eq!((status.ring.version, status.ring.since), (2, Some(LATER)));
    assert_eq!((status.master.version, status.master.since), (1, Some(NOW)));

    assert_eq!(names(&dir), [FILE_NAME]);
    let after = fs::read(dir.join(FILE_NAME)).expect("the file");
    assert_eq!(before.len(), after.len());
    let wrapped_ring_key = &before[28..76];
    assert!(!contains(&after, wrapped_ring_key));
    let reopened = open(Arc::new(RealDisk), &dir, &first()).expect("opens");
    assert_eq!(keyring.user_hash_key().bytes(), reopened.user_hash_key().bytes());
    assert_eq!(keyring.system_keys().derive("a purpose"), reopened.system_keys().derive("a purpose"));
    for (index, slot) in slots.iter().enumerate() {
        for keyring in [&keyring, &reopened] {
            match keyring.data_key(slot.slot, 1) {
                Ok(key) => assert!(key.bytes() == slot.key.bytes() && index != 7),
                Err(fault) => assert_eq!(index, 7, "{fault:?}"),
            }
        }
        // No slot of the old file opens with the new ring key.
        let at = reopened.current.load().bytes() as usize - before.len() + 8192 + slot.slot as usize * 64;
        let old: [u8; 64] = before[at..at + 64].try_into().expect("a slot");
        assert!(slot::decode(reopened.current.load().ring(), slot.slot, 1, &old).is_err());
    }
}

#[test]
fn a_new_master_key_wraps_one_key_and_the_old_one_opens_only_older_copies() {
    let (above, dir, keyring) = fresh();
    let slot = keyring.take(1).expect("a slot").remove(0);
    let backup = above.path().join("backup");
    fs::create_dir(&backup).expect("a directory");
    fs::copy(dir.join(FILE_NAME), backup.join(FILE_NAME)).expect("copied");
    let before = fs::read(dir.join(FILE_NAME)).expect("the file");

    let refused = keyring.replace_master(&first(), LATER).expect_err("there is no newer one");
    assert!(matches!(refused, KeyRotationError::NoNewerVersion { current: 1 }), "{refused}");
    let refused = keyring.replace_master(&MasterKey::new(2, [8; 32]), LATER).expect_err("the one in use is missing");
    assert!(matches!(refused, KeyRotationError::Open(OpenError::MasterKeyMissing { wanted: 1, .. })), "{refused}");
    keyring.replace_master(&both(), LATER).expect("rotated");
    let status = keyring.key_status();
    assert_eq!((status.master.version, status.master.since, status.ring.since), (2, Some(LATER), Some(NOW)));

    let after = fs::read(dir.join(FILE_NAME)).expect("the file");
    assert!(before[8192..] == after[8192..], "no slot is written");
    assert!(!contains(&after, &before[28..76]), "no copy is wrapped under the old key");
    drop(keyring);
    let disk = || Arc::new(RealDisk);
    assert!(matches!(open(disk(), &dir, &first()).err(), Some(OpenError::MasterKeyMissing { wanted: 2, .. })));
    for (dir, master) in [(&dir, MasterKey::new(2, [8; 32])), (&backup, both())] {
        let key = open(disk(), dir, &master).expect("opens").data_key(slot.slot, 1).expect("a key");
        assert_eq!(key.bytes(), slot.key.bytes());
    }
    assert_eq!(read_key_status(&dir).expect("read").master.version, 2);
}

#[test]
fn slots_are_taken_destroyed_and_read_while_both_keys_rotate() {
    let (_above, dir, keyring) = fresh();
    keyring.take(20_000).expect("slots");
    let (end, keyring) = (AtomicBool::new(false), &keyring);
    let used = thread::scope(|scope| {
        let user = scope.spawn(|| use_slots(keyring, || end.load(Ordering::Relaxed)));
        for round in 2..6 {
            assert_eq!(keyring.replace_ring(&both(), LATER).expect("rotated").number, round);
            let rotated = keyring.replace_master(&both(), LATER);
            assert_eq!(rotated.is_ok(), round == 2, "{rotated:?}");
        }
        end.store(true, Ordering::Relaxed);
        user.join().expect("no panic")
    });
    assert!(used.keys.len() > 1 && !used.destroyed.is_empty());
    check(keyring, &used);
    check(&open(Arc::new(RealDisk), &dir, &both()).expect("opens"), &used);
    assert_eq!(names(&dir), [FILE_NAME]);
}

#[test]
fn a_stopped_rotation_leaves_the_key_before() {
    let (_above, dir, keyring) = fresh();
    let slots = keyring.take(5000).expect("slots");
    keyring.stop_rotations();
    let refused = keyring.replace_ring(&first(), LATER).expect_err("refused");
    assert!(matches!(refused, KeyRotationError::Stopped), "{refused}");
    assert_eq!((names(&dir), keyring.key_status().ring.version), (vec![FILE_NAME.to_owned()], 1));
    assert!(keyring.data_key(slots[0].slot, 1).is_ok());
}

/// What was acknowledged to a user of slots.
#[derive(Default)]
struct Used {
    /// The keys that were handed out, by slot.
    keys: HashMap<u32, [u8; 32]>,
    destroyed: Vec<u32>,
    /// Slots of which it is not known whether they were destroyed.
    unknown: Vec<u32>,
}

/// Takes, reads and destroys slots until `is_over`, or until the disk fails.
fn use_slots(keyring: &Keyring, is_over: impl Fn() -> bool) -> Used {
    let mut used = Used::default();
    let mut random = StdRng::seed_from_u64(3);
    let mut taken = Vec::new();
    while !is_over() {
        let Ok(slots) = keyring.take(random.random_range(1..400)) else { break };
        for slot in &slots {
            used.keys.insert(slot.slot, *slot.key.bytes());
            taken.push(slot.slot);
        }
        let victim = taken.swap_remove(random.random_range(0..taken.len()));
        used.keys.remove(&victim);
        if keyring.destroy(victim, 1).is_err() {
            used.unknown.push(victim);
            break;
        }
        used.destroyed.push(victim);
        check(keyring, &used);
    }
    used
}

/// Asserts that a keyring has what was acknowledged.
#[track_caller]
fn check(keyring: &Keyring, used: &Used) {
    for (slot, key) in &used.keys {
        let read = keyring.data_key(*slot, 1).unwrap_or_else(|fault| panic!("slot {slot}: {fault:?}"));
        assert_eq!(read.bytes(), key, "slot {slot}");
    }
    for slot in &used.destroyed {
        assert!(keyring.data_key(*slot, 1).is_err(), "slot {slot} was destroyed");
    }
}

/// Rotates both keys on `disk` while slots are used, and checks what a crash leaves.
fn rotate_and_crash(disk: &CrashingDisk, seed: u64) {
    let (_above, dir, keyring) = fresh();
    drop(keyring);
    let opened = Keyring::open(&(Arc::new(disk.clone()) as _), &dir, &both(), Arc::new(TestEntropy::new(seed)));
    let keyring = &opened.expect("opens");
    let before = *keyring.user_hash_key().bytes();
    let has_ended = AtomicBool::new(false);
    let (used, rotated) = thread::scope(|scope| {
        let user = scope.spawn(|| use_slots(keyring, || has_ended.load(Ordering::Relaxed)));
        let ring = keyring.replace_ring(&both(), LATER).is_ok();
        let master = keyring.replace_master(&both(), LATER).is_ok();
        has_ended.store(true, Ordering::Relaxed);
        (user.join().expect("no panic"), [ring, master])
    });
    check(keyring, &used);
    disk.crash();
    restore_name(&(Arc::new(RealDisk) as _), &dir).expect("restored");
    let reopened = open(Arc::new(RealDisk), &dir, &both()).expect("opens");
    check(&reopened, &used);
    let status = reopened.key_status();
    assert!(!rotated[0] || status.ring.version == 2, "the ring key was acknowledged");
    assert!(!rotated[1] || status.master.version == 2, "the master key was acknowledged");
    assert_eq!(reopened.user_hash_key().bytes(), &before);
    assert_eq!(names(&dir), [FILE_NAME], "the start has cleared what was left");
    // What was interrupted is done by another rotation.
    reopened.replace_ring(&both(), LATER).expect("rotated");
    check(&reopened, &used);
    for slot in &used.unknown {
        reopened.destroy(*slot, 1).expect("destroyed");
        assert!(reopened.data_key(*slot, 1).is_err());
    }
}

#[test]
fn a_power_cut_at_any_of_100_random_points_loses_nothing() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let whole = CrashingDisk::new(u64::MAX, seed);
    rotate_and_crash(&whole, seed);
    let mut crashes = 0;
    for round in 0..100 {
        // The first two operations are syncs of the start.
        let disk = CrashingDisk::new(random.random_range(3..whole.operations()), random.random());
        rotate_and_crash(&disk, seed + round);
        crashes += u32::from(disk.has_crashed());
    }
    assert!(crashes > 50, "{crashes} crashes");
}

#[test]
fn a_power_cut_at_each_operation_of_a_rotation_leaves_a_keyring_that_opens() {
    for rotate in [
        |keyring: &Keyring| keyring.replace_ring(&both(), LATER).is_ok(),
        |keyring: &Keyring| keyring.replace_master(&both(), LATER).is_ok(),
    ] {
        for point in 1.. {
            let (_above, dir, keyring) = fresh();
            let slots = keyring.take(100).expect("slots");
            keyring.destroy(slots[1].slot, 1).expect("destroyed");
            drop(keyring);
            let disk = CrashingDisk::new(point, point);
            let keyring = Keyring::open(&(Arc::new(disk.clone()) as _), &dir, &both(), Arc::new(TestEntropy::new(5)));
            // The first operations are syncs of the start.
            let is_rotated = keyring.is_ok_and(|keyring| rotate(&keyring));
            let is_over = !disk.has_crashed();
            disk.crash();
            restore_name(&(Arc::new(RealDisk) as _), &dir).expect("restored");
            let reopened = open(Arc::new(RealDisk), &dir, &both()).unwrap_or_else(|error| panic!("{point}: {error}"));
            let status = reopened.key_status();
            assert!(!is_rotated || status.ring.version + status.master.version == 3, "{point}");
            assert_eq!(reopened.data_key(slots[0].slot, 1).expect("a key").bytes(), slots[0].key.bytes());
            assert!(reopened.data_key(slots[1].slot, 1).is_err());
            assert_eq!(names(&dir), [FILE_NAME]);
            if is_over {
                assert!(is_rotated && point > 4, "{point}");
                break;
            }
        }
    }
}

#[test]
fn a_new_name_that_may_not_be_durable_is_as_good_as_the_old_one() {
    for round in 0..20 {
        let (_above, dir, keyring) = fresh();
        let first = keyring.take(2000).expect("slots");
        drop(keyring);
        let disk = CrashingDisk::new(u64::MAX, round);
        let opened = Keyring::open(&(Arc::new(disk.clone()) as _), &dir, &both(), Arc::new(TestEntropy::new(6)));
        let keyring = opened.expect("opens");
        // The first sync of names comes between the two renames, the second after them.
        disk.fail_name_sync_after(1);
        let unfinished = keyring.replace_ring(&both(), LATER).expect_err("the new name may be lost");
        assert!(matches!(unfinished, KeyRotationError::Unfinished { .. }), "{unfinished}");
        // What is written now counts under either name.
        let second = keyring.take(1500).expect("slots");
        keyring.destroy(first[5].slot, 1).expect("destroyed");
        if round % 2 == 0 {
            assert_eq!(keyring.replace_ring(&both(), LATER).expect("rotated").number, 3);
        }
        disk.crash();
        restore_name(&(Arc::new(RealDisk) as _), &dir).expect("restored");
        let reopened = open(Arc::new(RealDisk), &dir, &both()).expect("opens");
        for slot in first.iter().chain(&second) {
            match reopened.data_key(slot.slot, 1) {
                Ok(key) => assert!(key.bytes() == slot.key.bytes() && slot.slot != first[5].slot),
                Err(fault) => assert_eq!(slot.slot, first[5].slot, "{fault:?}"),
            }
        }
        assert_eq!(names(&dir), [FILE_NAME]);
    }
}
