//! Damaged files: a torn end is cut off, everything else is refused, and each refusal is one clear line.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{MasterKey, OpenError};

use crate::kit::layout::{
    KIND_AT, MARK_BYTES, MARK_KIND, SEGMENT_FORMAT_AT, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_USED_BYTES,
};
use crate::kit::{
    KeepAll, SeededEntropy, append_one, close, frames, open, options, record, seed, segment_paths, try_open,
};

/// Fills a data directory whose user `n` has one frame in each of some groups, and leaves it as a crash does.
fn crashed(dir: &Path, groups: u64) {
    let mut store = open(dir);
    for sequence in 1..=groups {
        let group: Vec<_> = (0..20).map(|number| record(number, sequence, vec![sequence as u8; 100])).collect();
        store.journal.append(&group).expect("taken");
    }
}

fn last_segment(dir: &Path) -> PathBuf {
    segment_paths(dir).pop().expect("a segment")
}

/// Returns the (offset, length, kind) of every record in a segment.
fn records(bytes: &[u8]) -> Vec<(usize, usize, u8)> {
    let mut found = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(length) = bytes[at..].first_chunk().map(|length| u32::from_le_bytes(*length) as usize) {
        if length == 0 {
            break;
        }
        found.push((at, length, bytes[at + KIND_AT]));
        at += length;
    }
    found
}

#[track_caller]
fn refusal(dir: &Path) -> OpenError {
    match try_open(options(dir), 1) {
        Ok(_) => panic!("the store opened"),
        Err(error) => {
            let line = error.to_string();
            assert!(
                !line.contains('\n') && !line.ends_with('.') && line.contains(": "),
                "one line with a remedy: {line}"
            );
            error
        }
    }
}

#[test]
fn a_torn_group_is_cut_off_and_nothing_else() {
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..30 {
        let dir = tempfile::tempdir().expect("a directory");
        crashed(dir.path(), 5);
        let path = last_segment(dir.path());
        let mut bytes = fs::read(&path).expect("a segment");
        let all = records(&bytes);
        let marks: Vec<_> = all.iter().filter(|record| record.2 == MARK_KIND).collect();
        let (group, end) = (marks[4].0, marks[5].0);
        // The last mark was not written, and of the last group some pages or a run of bytes are missing.
        bytes[end..].fill(0);
        let from = random.random_range(group..end);
        let to = random.random_range(from + 1..=end);
        bytes[from..to].fill(0);
        fs::write(&path, &bytes).expect("written");

        let mut store = open(dir.path());
        for number in 0..20 {
            let found = frames(&store, number).len() as u64;
            assert!((4..=5).contains(&found), "user {number} has {found} frames");
            append_one(&mut store, number, found + 1, vec![9]);
        }
        drop(store);
        open(dir.path());
    }
}

#[test]
fn a_flipped_bit_before_a_mark_is_refused_and_never_repaired() {
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    crashed(dir.path(), 100);
    crashed_again(dir.path());
    let paths = segment_paths(dir.path());
    assert!(paths.len() > 2);
    let last = last_segment(dir.path());
    for _ in 0..60 {
        let path = &paths[random.random_range(0..paths.len())];
        let good = fs::read(path).expect("a segment");
        let all = records(&good);
        let end = if *path == last {
            all.last().expect("a mark").0
        } else {
            all.last().map_or(SEGMENT_HEADER_BYTES, |r| r.0 + r.1)
        };
        // The rest of the header's page is unused, and so is the last mark of all segments but the last.
        let end = if *path != last && all.last().is_some_and(|r| r.2 == MARK_KIND) { end - MARK_BYTES } else { end };
        let at = random.random_range(0..SEGMENT_HEADER_USED_BYTES + end - SEGMENT_HEADER_BYTES);
        let in_header = at < SEGMENT_HEADER_USED_BYTES;
        let at = if in_header { at } else { at - SEGMENT_HEADER_USED_BYTES + SEGMENT_HEADER_BYTES };
        let mut bad = good.clone();
        bad[at] ^= 1 << random.random_range(0..8);
        fs::write(path, &bad).expect("written");
        // The checksum of a segment's header also covers its reserved bytes.
        let error = refusal(dir.path());
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::NewerFormat { .. }), "byte {at}: {error}");
        assert_eq!(fs::read(path).expect("a segment"), bad, "nothing was repaired");
        fs::write(path, &good).expect("written");
    }
    let store = open(dir.path());
    assert_eq!(frames(&store, 3).len(), 103);
}

/// Adds a few more frames after a restart, so that there are segments of all sorts.
fn crashed_again(dir: &Path) {
    let mut store = open(dir);
    for sequence in 101..=103 {
        let group: Vec<_> = (0..20).map(|number| record(number, sequence, vec![1; 100])).collect();
        store.journal.append(&group).expect("taken");
    }
}

#[test]
fn a_missing_piece_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    crashed(dir.path(), 100);
    let keyring = dir.path().join("keyring");
    let aside = dir.path().join("aside");
    fs::rename(&keyring, &aside).expect("moved");
    assert!(matches!(refusal(dir.path()), OpenError::KeyringMissing { .. }));
    fs::rename(&aside, &keyring).expect("moved back");

    let first = dir.path().join("journal/0000000001.segment");
    fs::rename(&first, &aside).expect("moved");
    assert!(refusal(dir.path()).to_string().contains("segment 1 is missing"));
    fs::rename(&aside, &first).expect("moved back");

    fs::rename(dir.path().join("sled"), &aside).expect("moved");
    assert!(matches!(refusal(dir.path()), OpenError::PartMissing { path } if path == dir.path().join("sled")));
    assert!(!dir.path().join("sled").exists(), "nothing was made in its place");
    fs::rename(&aside, dir.path().join("sled")).expect("moved back");
    assert_eq!(frames(&open(dir.path()), 0).len(), 100);
}

#[test]
fn a_store_whose_journal_is_not_mounted_and_whose_keyring_is_of_the_first_day_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    let (keyring, first_day) = (dir.path().join("keyring"), dir.path().join("first day"));
    fs::copy(&keyring, &first_day).expect("a copy");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, vec![1]);
    close(store);

    let (journal, aside) = (dir.path().join("journal"), dir.path().join("aside"));
    let today = fs::read(&keyring).expect("the keyring");
    fs::rename(&journal, &aside).expect("moved");
    fs::copy(&first_day, &keyring).expect("restored");
    assert!(matches!(refusal(dir.path()), OpenError::PartMissing { path } if path == journal));
    fs::write(&keyring, today).expect("restored");
    assert!(matches!(refusal(dir.path()), OpenError::PartMissing { path } if path == journal));
    fs::rename(&aside, &journal).expect("mounted");
    assert_eq!(frames(&open(dir.path()), 1).len(), 1);
}

#[test]
fn sleds_files_of_an_interrupted_first_start_are_created_again() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()));
    fs::remove_dir_all(dir.path().join("journal")).expect("removed");
    fs::write(dir.path().join("sled.unfinished"), b"").expect("written");
    fs::write(dir.path().join("sled/db"), b"half made").expect("written");
    fs::write(dir.path().join("sled/conf"), b"half made, and no settings of ours").expect("written");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, vec![1]);
    drop(store);
    assert!(!dir.path().join("sled.unfinished").exists());
    assert_eq!(frames(&open(dir.path()), 1).len(), 1);
}

#[test]
fn a_locked_directory_a_wrong_key_and_a_newer_format_are_distinguished() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    assert!(matches!(refusal(dir.path()), OpenError::Locked { .. }));
    drop(store);

    let (wrong, fold) = (MasterKey::new(1, [1; 32]), std::sync::Arc::new(KeepAll));
    let error = store::open(options(dir.path()), &wrong, fold, SeededEntropy::new(1)).err().expect("refused");
    assert!(matches!(error, OpenError::WrongMasterKey { .. }), "{error}");

    let segment = last_segment(dir.path());
    let good = fs::read(&segment).expect("a segment");
    let mut newer = good.clone();
    newer[SEGMENT_FORMAT_AT] = 4;
    fs::write(&segment, &newer).expect("written");
    assert!(matches!(refusal(dir.path()), OpenError::NewerFormat { found: 4, supported: 3, .. }));
    fs::write(&segment, &good).expect("written");
    open(dir.path());
}

#[test]
fn sleds_leftovers_of_a_kill_during_start_up_do_not_matter() {
    let dir = tempfile::tempdir().expect("a directory");
    crashed(dir.path(), 3);
    open(dir.path()).closer.close().expect("closes");
    fs::write(dir.path().join("sled/snap.00000000DEADBEEF.generating"), b"half").expect("written");
    fs::write(dir.path().join("sled/snap.7FFFFFFFFFFFFFFF"), b"not a snapshot at all").expect("written");
    assert_eq!(frames(&open(dir.path()), 5).len(), 3);
    assert!(dir.path().join("sled/damaged-snap.7FFFFFFFFFFFFFFF").exists());
}

/// Bytes of a segment's header in format 1 before its checksum.
const FIRST_FORMAT_BYTES: usize = 32;

/// Returns all files of a data directory, with their content.
fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.append(&mut content(&path));
        } else {
            all.push((path.clone(), fs::read(path).expect("a file")));
        }
    }
    all.sort();
    all
}

#[test]
fn a_store_of_an_older_format_is_refused_before_anything_is_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    crashed(dir.path(), 3);
    // The header of format 1 is 32 bytes and their checksum; that of format 2 is as today's.
    for (format, header_bytes) in [(2_u16, SEGMENT_HEADER_USED_BYTES - 4), (1, FIRST_FORMAT_BYTES)] {
        for path in segment_paths(dir.path()) {
            let mut bytes = fs::read(&path).expect("a segment");
            bytes[SEGMENT_FORMAT_AT..SEGMENT_FORMAT_AT + 2].copy_from_slice(&format.to_le_bytes());
            bytes[header_bytes..SEGMENT_HEADER_USED_BYTES].fill(0);
            let crc = crc32c(&bytes[..header_bytes]);
            bytes[header_bytes..header_bytes + 4].copy_from_slice(&crc.to_le_bytes());
            fs::write(&path, &bytes).expect("written");
        }
        let before = content(dir.path());
        let error = refusal(dir.path());
        assert!(matches!(error, OpenError::OlderFormat { found, supported: 3, .. } if found == format), "{error}");
        assert!(error.to_string().contains("start with an empty data directory"), "{error}");
        assert!(content(dir.path()) == before, "nothing was changed");
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
