//! Checking a data directory: nothing changes, and what was changed is found.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::erasure::{ErasureReason, Tombstone};
use domain::port::clock::Entropy;
use domain::port::dead_letters::{DeadLetter, DeadLetters};
use domain::port::erasure::ErasedUser;
use domain::port::journal::{Record, RecordKind};
use store::inspect::{InspectError, InspectOptions, InspectReport, inspect};

use crate::kit::layout::{KEYRING_HEADER_BYTES, SEGMENT_HEADER_BYTES, SLOT_BYTES};
use crate::kit::{SeededEntropy, append_one, close, master, open, options, segment_paths, user, wait_for};

fn check(dir: &Path) -> Result<InspectReport, InspectError> {
    let scratch = tempfile::tempdir().expect("a directory");
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(4);
    let options = InspectOptions { store: options(dir), scratch: scratch.path().to_owned() };
    inspect(&options, &master(), &entropy)
}

/// The bytes, the length, the times and the mode of a file or directory.
type FileImage = (Vec<u8>, u64, (i64, i64), (i64, i64), u32);

/// Returns what every file and directory is like.
fn image(dir: &Path) -> BTreeMap<PathBuf, FileImage> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).expect("a file");
        let (modified, changed) =
            ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
        let bytes = if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            Vec::new()
        } else {
            fs::read(&path).expect("a file")
        };
        found.insert(path, (bytes, metadata.len(), modified, changed, metadata.mode()));
    }
    found
}

/// Makes a store whose users are in sled and in the journal, and leaves it as a crash does.
fn sample(dir: &Path) {
    let mut store = open(dir);
    for sequence in 1..8 {
        (0..20).for_each(|number| append_one(&mut store, number, sequence, vec![sequence as u8; 900]));
    }
    for (number, user) in [(1, Some(user(1))), (2, None)] {
        let letter = DeadLetter {
            source: "eligibility".to_owned(),
            user,
            event_id: None,
            event_type: None,
            problem: "invalid-value".to_owned(),
            pointer: None,
            body: Some(vec![7; 6000]),
            rejected_at: number,
        };
        store.dead_letters.keep(letter).expect("kept");
    }
    wait_for(|| store.dead_letters.read_all().expect("letters").len() == 2);
    store.closer.checkpoint().expect("a checkpoint");
    (0..20).for_each(|number| append_one(&mut store, number, 8, vec![8; 100]));
}

#[test]
fn a_sound_directory_is_read_as_a_whole_and_not_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path());
    let before = image(dir.path());
    let report = check(dir.path()).expect("it can be checked");
    assert_eq!(report.fault, None);
    assert_eq!((report.kind("users").opened, report.kind("dead letters").opened), (20, 2));
    assert_eq!(report.kind("side records").opened, 20 * 3);
    assert!(report.kind("journal, frames").opened >= 20 && report.kind("keyring, slots").opened >= 20);
    assert_eq!(image(dir.path()), before);
    close(open(dir.path()));
    assert_eq!(check(dir.path()).expect("it can be checked").fault, None);
}

#[test]
fn an_erased_user_is_no_fault_before_and_after_the_checkpoint() {
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path());
    let mut store = open(dir.path());
    for number in [3, 5] {
        let tombstone = Tombstone {
            generation: 1,
            erased_at: 7,
            reason: ErasureReason::Citizen,
            last_revision: 8,
            last_sequence: 9,
            was_shared: true,
        };
        let body = tombstone.encode().to_vec();
        let record = Record { user: user(number), generation: 1, sequence: 9, kind: RecordKind::ERASURE, body };
        let row = store.journal.append(&[record]).expect("taken")[0].expect("in sequence");
        store.keys.forget(&ErasedUser { user: user(number), row, tombstone }).expect("forgotten");
        if number == 3 {
            store.closer.checkpoint().expect("a checkpoint");
        }
    }
    drop(store);
    let report = check(dir.path()).expect("it can be checked");
    assert_eq!(report.fault, None);
    let users = report.kind("users");
    // The state of the second one waits for the next checkpoint.
    assert_eq!((users.opened, users.destroyed, users.without_key), (19, 1, 0));
}

#[test]
fn a_destroyed_key_is_no_fault_and_a_missing_one_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path());
    let keyring = dir.path().join("keyring");
    let mut bytes = fs::read(&keyring).expect("a keyring");
    // The first slot is that of the first user, the last one of those in use that of the day.
    let slot = &mut bytes[KEYRING_HEADER_BYTES..KEYRING_HEADER_BYTES + SLOT_BYTES];
    slot[0] = 2;
    slot[8..56].fill(0);
    let crc = crc32c(&slot[..60]);
    slot[60..].copy_from_slice(&crc.to_le_bytes());
    bytes[KEYRING_HEADER_BYTES + SLOT_BYTES..KEYRING_HEADER_BYTES + 2 * SLOT_BYTES].fill(0);
    fs::write(&keyring, &bytes).expect("written");
    let report = check(dir.path()).expect("it can be checked");
    assert_eq!(report.fault, None);
    let users = report.kind("users");
    assert_eq!((users.opened, users.destroyed, users.without_key), (18, 1, 1));
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn changed_bytes_are_found_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path());
    let segment = segment_paths(dir.path()).pop().expect("a segment");
    let cases = [
        (dir.path().join("keyring"), KEYRING_HEADER_BYTES + SLOT_BYTES + 20, "the keyring"),
        (segment, SEGMENT_HEADER_BYTES + 200, "the journal"),
        (dir.path().join("registry"), 40, "the registry"),
    ];
    for (path, at, what) in cases {
        let file = fs::File::options().read(true).write(true).open(&path).expect("a file");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at as u64).expect("a byte");
        file.write_all_at(&[byte[0] ^ 0x55], at as u64).expect("written");
        let report = check(dir.path()).expect("it can be checked");
        let fault = report.fault.unwrap_or_else(|| panic!("{what} was changed")).to_string();
        assert!(fault.starts_with(what), "{fault}");
        file.write_all_at(&byte, at as u64).expect("written");
    }
    assert_eq!(check(dir.path()).expect("it can be checked").fault, None);
    fs::create_dir_all(dir.path().join("sled/blobs")).expect("a directory");
    fs::write(dir.path().join("sled/blobs/1"), "x").expect("written");
    let fault = check(dir.path()).expect("it can be checked").fault.expect("a fault").to_string();
    assert!(fault.contains("blobs"), "{fault}");
}

#[test]
fn a_directory_that_a_server_uses_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    assert!(matches!(check(dir.path()), Err(InspectError::InUse { .. })));
    drop(store);
    let empty = tempfile::tempdir().expect("a directory");
    assert!(matches!(check(empty.path()), Err(InspectError::NoData { .. })));
}
