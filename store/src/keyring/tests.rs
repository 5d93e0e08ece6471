use super::*;
use crate::disk::RealDisk;
use crate::test_kit::TestEntropy;

fn master() -> MasterKey {
    MasterKey::new(1, [7; 32])
}

fn open(dir: &Path) -> Keyring {
    Keyring::open(&RealDisk, dir, &master(), Arc::new(TestEntropy::new(2))).expect("opens")
}

fn fresh(dir: &Path) -> Keyring {
    Keyring::create(&RealDisk, dir, &master(), &TestEntropy::new(1)).expect("creates");
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
fn a_wrong_master_key_a_flipped_bit_and_a_newer_format_are_distinguished() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(fresh(dir.path()));
    let entropy = || Arc::new(TestEntropy::new(3));
    let wrong = Keyring::open(&RealDisk, dir.path(), &MasterKey::new(2, [8; 32]), entropy()).err().expect("refused");
    assert!(matches!(wrong, OpenError::WrongMasterKey { given: 2, wanted: 1 }), "{wrong}");

    let path = dir.path().join(FILE_NAME);
    let good = std::fs::read(&path).expect("the file");
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    std::fs::write(&path, &flipped).expect("written");
    let damaged = Keyring::open(&RealDisk, dir.path(), &master(), entropy()).err().expect("refused");
    assert!(matches!(damaged, OpenError::Damaged { .. }), "{damaged}");

    let mut newer = good;
    newer[8] = 9;
    std::fs::write(&path, &newer).expect("written");
    let refused = Keyring::open(&RealDisk, dir.path(), &master(), entropy()).err().expect("refused");
    assert!(matches!(refused, OpenError::NewerFormat { found: 9, supported: 1, .. }), "{refused}");
}

#[test]
fn a_damaged_slot_gives_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let slot = fresh(dir.path()).take(1).expect("a slot")[0].slot;
    let path = dir.path().join(FILE_NAME);
    let mut bytes = std::fs::read(&path).expect("the file");
    bytes[slot::offset(slot) as usize + 20] ^= 0x10;
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
