//! The keyring without rotations.

use super::*;
use crate::disk::RealDisk;
use crate::keyring::header::{COPIES, COPY_BYTES};
use crate::test_kit::TestEntropy;

/// Where the slots begin.
const SLOTS_AT: usize = COPIES * COPY_BYTES;

fn master() -> MasterKey {
    MasterKey::new(1, [7; 32])
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn try_open(dir: &Path, master: &MasterKey) -> Result<Keyring, OpenError> {
    Keyring::open(&disk(), dir, master, Arc::new(TestEntropy::new(2)))
}

fn open(dir: &Path) -> Keyring {
    try_open(dir, &master()).expect("opens")
}

fn fresh(dir: &Path) -> Keyring {
    Keyring::create(&disk(), dir, &master(), 1_000, &TestEntropy::new(1)).expect("creates");
    open(dir)
}

#[test]
fn a_slot_gives_the_same_key_after_a_reopen() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = fresh(dir.path());
    let issued = keyring.take(3).expect("slots");
    let reopened = open(dir.path());
    for one in &issued {
        let key = reopened.data_key(one.slot, 1).expect("a key");
        assert_eq!(key.bytes(), one.key.bytes());
        assert!(reopened.data_key(one.slot, 2).is_err(), "a later generation has another key");
    }
    assert_eq!(keyring.user_hash_key().bytes(), reopened.user_hash_key().bytes());
}

#[test]
fn slots_are_never_handed_out_twice_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let before: Vec<u32> = fresh(dir.path()).take(5).expect("slots").iter().map(|one| one.slot).collect();
    let keyring = open(dir.path());
    for one in keyring.take(2000).expect("slots") {
        assert!(!before.contains(&one.slot));
    }
}

#[test]
fn slots_that_a_clean_shutdown_left_are_taken_up_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = fresh(dir.path());
    let taken = keyring.take(5).expect("slots");
    let unused = keyring.first_unused();
    assert_eq!(unused, taken[4].slot + 1);
    let reopened = open(dir.path());
    reopened.adopt_from(unused);
    assert_eq!(reopened.take(1).expect("a slot")[0].slot, unused);
}

#[test]
fn slots_that_were_given_back_come_first_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = fresh(dir.path());
    let mut taken = keyring.take(4).expect("slots");
    let back = taken.split_off(2);
    let first = back[0].slot;
    keyring.give_back(back);
    assert_eq!(keyring.take(1).expect("a slot")[0].slot, first);
}

#[test]
fn a_wrong_master_key_a_missing_version_damage_and_a_newer_format_are_distinguished() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(fresh(dir.path()));
    let refused = |master: &MasterKey| try_open(dir.path(), master).err().expect("refused");
    let missing = refused(&MasterKey::new(2, [8; 32]).with_version(3, [7; 32]));
    assert!(matches!(&missing, OpenError::MasterKeyMissing { wanted: 1, given } if given == "2, 3"), "{missing}");
    let wrong = refused(&MasterKey::new(1, [8; 32]).with_version(2, [7; 32]));
    assert!(matches!(wrong, OpenError::WrongMasterKey { version: 1 }), "{wrong}");
    assert!(try_open(dir.path(), &master().with_version(2, [9; 32])).is_ok(), "other versions do no harm");

    let path = dir.path().join(FILE_NAME);
    let good = std::fs::read(&path).expect("the file");
    let in_both_copies = |at: usize, change: fn(&mut u8)| {
        let mut bytes = good.clone();
        (0..COPIES).for_each(|copy| change(&mut bytes[copy * COPY_BYTES + at]));
        std::fs::write(&path, &bytes).expect("written");
        refused(&master())
    };
    let damaged = in_both_copies(40, |byte| *byte ^= 1);
    assert!(matches!(damaged, OpenError::Damaged { .. }), "{damaged}");
    let newer = in_both_copies(8, |byte| *byte = 9);
    assert!(matches!(newer, OpenError::NewerFormat { found: 9, supported: 2, .. }), "{newer}");
}

#[test]
fn one_copy_of_the_header_is_enough_and_the_other_is_repaired() {
    let dir = tempfile::tempdir().expect("a directory");
    let slot = fresh(dir.path()).take(1).expect("a slot").remove(0);
    let path = dir.path().join(FILE_NAME);
    let good = std::fs::read(&path).expect("the file");
    for copy in 0..COPIES {
        let mut torn = good.clone();
        torn[copy * COPY_BYTES..(copy + 1) * COPY_BYTES].fill(0xff);
        std::fs::write(&path, &torn).expect("written");
        let key = open(dir.path()).data_key(slot.slot, 1).expect("a key");
        assert_eq!(key.bytes(), slot.key.bytes());
        assert!(std::fs::read(&path).expect("the file") == good, "the copy is there again");
    }
}

#[test]
fn a_damaged_slot_gives_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let slot = fresh(dir.path()).take(1).expect("a slot")[0].slot;
    let path = dir.path().join(FILE_NAME);
    let mut bytes = std::fs::read(&path).expect("the file");
    bytes[SLOTS_AT + slot::offset(slot) as usize + 20] ^= 0x10;
    std::fs::write(&path, &bytes).expect("written");
    assert!(matches!(open(dir.path()).data_key(slot, 1), Err(SlotFault::Damaged { .. })));
}

#[test]
fn a_destroyed_slot_gives_no_key_and_harms_no_neighbour() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = fresh(dir.path());
    let slots: Vec<u32> = keyring.take(3).expect("slots").iter().map(|one| one.slot).collect();
    keyring.destroy(slots[1], 1).expect("destroyed");
    let reopened = open(dir.path());
    assert!(matches!(reopened.data_key(slots[1], 1), Err(SlotFault::Erased)));
    let destroyed = SlotState::Destroyed { generation: 1, tombstone: None };
    assert_eq!(reopened.slot_state(slots[1]).expect("a state"), destroyed);
    assert!(reopened.data_key(slots[0], 1).is_ok() && reopened.data_key(slots[2], 1).is_ok());
}

#[test]
fn a_slot_goes_from_one_generation_to_the_next_and_never_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = fresh(dir.path());
    let issued = keyring.take(1).expect("a slot").remove(0);
    let (slot, tombstone) = (issued.slot, [9; crate::erasure::SEALED_TOMBSTONE_BYTES]);
    keyring.bury(slot, 1, &tombstone).expect("buried");
    let buried = SlotState::Destroyed { generation: 1, tombstone: Some(tombstone) };
    assert_eq!(open(dir.path()).slot_state(slot).expect("a state"), buried);
    assert!(matches!(keyring.renew(slot, 1), Err(SlotFault::Erased)), "the generation is over");

    let second = keyring.renew(slot, 2).expect("a key");
    assert_ne!(second.bytes(), issued.key.bytes());
    assert_eq!(keyring.renew(slot, 2).expect("the same key").bytes(), second.bytes());
    assert_eq!(open(dir.path()).data_key(slot, 2).expect("a key").bytes(), second.bytes());
    assert!(matches!(keyring.data_key(slot, 1), Err(SlotFault::Erased)));
    keyring.bury(slot, 1, &tombstone).expect("it was buried before");
    assert_eq!(keyring.slot_state(slot).expect("a state"), SlotState::Live { generation: 2 });
    assert!(matches!(keyring.data_key(slot, 3), Err(SlotFault::Damaged { .. })), "the keyring is older than the data");
}
