//! After an erasure, no byte that was stored of the user opens with the current keyring: neither what lies in the data
//! directory, in logs from which nothing is ever overwritten, nor what a backup of the data from before has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::erasure::{ErasureReason, Tombstone};
use domain::id::UserId;
use domain::port::dead_letters::{DeadLetter, DeadLetters};
use domain::port::erasure::ErasedUser;
use domain::port::journal::{Record, RecordKind};
use domain::port::store::{Fold, SideChanges, SideKey, SideKind, SideRecord, StoreError};

use crate::disk::{Disk, RealDisk};
use crate::journal::{SegmentItem, parse_item};
use crate::keyring::Keyring;
use crate::seal::{NOBODY, TAG_BYTES};
use crate::sled_store::SealedRecord;
use crate::test_kit::TestEntropy;
use crate::user_hash::{UserHash, UserHasher};
use crate::{MasterKey, Store, StoreOptions};

const USERS: usize = 6;
const ERASED: usize = 2;

/// Keeps the bodies of all frames as the state, and as a side record of each kind.
struct KeepBodies;

impl Fold for KeepBodies {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        Ok([state.unwrap_or_default(), &frames.iter().flat_map(|frame| frame.body.clone()).collect::<Vec<_>>()]
            .concat())
    }

    fn keep_history(&self, state: &[u8], _: Option<SideRecord>, frames: &[Record]) -> Result<SideChanges, StoreError> {
        let number = frames[0].sequence;
        let kinds = [SideKind::HISTORY, SideKind::BASE, SideKind::SNAPSHOT];
        let put = kinds.map(|kind| SideRecord { key: SideKey { kind, number }, body: state.to_vec() });
        Ok(SideChanges { put: put.to_vec(), remove: Vec::new() })
    }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn master() -> MasterKey {
    MasterKey::new(1, [7; 32])
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

fn open(dir: &Path) -> Store {
    let mut options = StoreOptions::new(dir);
    options.segment_bytes = 256 << 10;
    options.checkpoint_interval = std::time::Duration::from_secs(3600);
    crate::open(options, &master(), Arc::new(KeepBodies), Arc::new(TestEntropy::new(1))).expect("opens")
}

fn change(number: usize, generation: u32, sequence: u64) -> Record {
    let body = format!("the secret of {number} with sequence {sequence} ").repeat(8).into_bytes();
    Record { user: user(number), generation, sequence, kind: RecordKind::CHANGE, body }
}

fn letter(number: usize) -> DeadLetter {
    DeadLetter {
        source: "identity".to_owned(),
        user: Some(user(number)),
        event_id: None,
        event_type: None,
        problem: "invalid".to_owned(),
        pointer: None,
        body: Some(b"the secret letter".to_vec()),
        rejected_at: 1,
    }
}

/// Counts by user what opens with the keyring in `keyring_dir` of all bytes in the files of `dir`.
fn count_readable(dir: &Path, keyring_dir: &Path) -> BTreeMap<UserHash, usize> {
    let keyring = Keyring::open(&disk(), keyring_dir, &master(), Arc::new(TestEntropy::new(3))).expect("a keyring");
    let mut readable = BTreeMap::new();
    let mut files = vec![dir.to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        for at in 0..bytes.len() {
            for user in frame_at(&keyring, &bytes[at..]).into_iter().chain(record_at(&keyring, &bytes[at..])) {
                *readable.entry(user).or_default() += 1;
            }
        }
    }
    readable
}

/// Opens the frame that may begin with `bytes`, and returns its user.
fn frame_at(keyring: &Keyring, bytes: &[u8]) -> Option<UserHash> {
    let SegmentItem::Frame { header, sealed, .. } = parse_item(bytes) else { return None };
    let key = keyring.data_key(header.slot, header.generation).ok()?;
    key.cipher().open(&header.nonce, header.label(), sealed).ok().map(|_| header.user)
}

/// Opens the record that may begin with `bytes`, and returns its user. Its length and its user are not in it, so all of them
/// are tried.
fn record_at(keyring: &Keyring, bytes: &[u8]) -> Option<UserHash> {
    SealedRecord::chunk_count(bytes).filter(|count| *count == 1)?;
    let record = SealedRecord::from_first(&bytes[..bytes.len().min(4000)], NOBODY)?;
    let key = keyring.data_key(record.slot, record.generation).ok()?;
    let (cipher, hasher) = (key.cipher(), UserHasher::new(keyring.user_hash_key().bytes()));
    let longest = (record.plain_bytes as usize + 2 * TAG_BYTES + 64).min(record.sealed.len());
    (0..USERS).map(|number| hasher.hash(&user(number))).find(|user| {
        let record = SealedRecord { user: *user, ..record.clone() };
        (TAG_BYTES..=longest).any(|length| cipher.open(&record.nonce, record.label(), &record.sealed[..length]).is_ok())
    })
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let (from, to) = (entry.as_ref().expect("an entry").path(), to.join(entry.expect("an entry").file_name()));
        if from.is_dir() {
            std::fs::create_dir_all(&to).expect("made");
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).expect("copied");
        }
    }
}

#[test]
fn no_stored_byte_of_an_erased_user_opens_with_the_current_keyring() {
    let (dir, backup) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut store = open(dir.path());
    for sequence in 1..=3 {
        let group: Vec<_> = (0..USERS).map(|number| change(number, 1, sequence)).collect();
        assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
        if sequence < 3 {
            store.closer.checkpoint().expect("a checkpoint");
        }
    }
    (0..USERS).for_each(|number| store.dead_letters.keep(letter(number)).expect("kept"));
    store.closer.close().expect("closes");
    drop((store.users, store.keys, store.journal, store.reader, store.log, store.tables, store.projections));
    drop((store.dead_letters, store.registry, store.status, store.quarantine, store.backups));
    copy(dir.path(), backup.path());
    let hash = {
        let keyring = Keyring::open(&disk(), dir.path(), &master(), Arc::new(TestEntropy::new(3))).expect("a keyring");
        UserHasher::new(keyring.user_hash_key().bytes()).hash(&user(ERASED))
    };
    let before = count_readable(dir.path(), dir.path());
    assert_eq!(before.len(), USERS);
    // Frames, states of two checkpoints, side records, and the letter.
    assert!(before.values().all(|readable| *readable > 3 + 1 + 3), "{before:?}");

    let mut store = open(dir.path());
    let tombstone = Tombstone {
        generation: 1,
        erased_at: 1,
        reason: ErasureReason::Citizen,
        last_revision: 3,
        last_sequence: 4,
        was_shared: false,
    };
    let body = tombstone.encode().to_vec();
    let erasure = Record { kind: RecordKind::ERASURE, body, ..change(ERASED, 1, 4) };
    let row = store.journal.append(&[erasure]).expect("taken")[0].expect("in sequence");
    store.keys.forget(&ErasedUser { user: user(ERASED), row, tombstone }).expect("forgotten");
    store.dead_letters.keep(letter(ERASED)).expect("kept");
    for (place, what) in [(dir.path(), "the data directory"), (backup.path(), "the backup")] {
        let after = count_readable(place, dir.path());
        assert_eq!(after.get(&hash), None, "{what}");
        for (user, readable) in before.iter().filter(|(user, _)| **user != hash) {
            assert!(after[user] >= *readable, "{what}: another user lost something");
        }
    }
    // The next generation has a key of its own, which opens nothing that was stored before.
    store.journal.append(&[change(ERASED, 2, 5)]).expect("taken")[0].expect("in sequence");
    store.closer.close().expect("closes");
    assert_eq!(count_readable(backup.path(), dir.path()).get(&hash), None, "the backup, after a registration");
    assert!(count_readable(dir.path(), dir.path()).contains_key(&hash), "the new generation");
    let letters = store.dead_letters.read_all().expect("read");
    let about: Vec<_> = letters.iter().filter(|letter| letter.user == Some(user(ERASED))).collect();
    assert!(about.is_empty() && letters.iter().any(|letter| letter.user.is_none() && letter.body.is_none()));
}
