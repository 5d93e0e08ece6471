//! The keyring of a restore: the right one, an older one, another one, and none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::erasure::{ErasureReason, Tombstone};
use domain::port::clock::Entropy;
use domain::port::erasure::{ErasedUser, StoredUser};
use domain::port::journal::{Record, RecordKind, RowId};
use domain::port::keyring_backup::KeyringBackups;
use store::backup::{KeyringRestore, RestoreError, restore_keyring};
use store::{MasterKey, OpenError, Store};

use crate::backup_kit::{NOW, back_up, back_up_keyring, names, open_log, restore_options, try_restore, write_erasure};
use crate::erasure::slot_state;
use crate::kit::clock::DAY;
use crate::kit::{SeededEntropy, append_one, close, frames, master, open, options, try_load, user};

const HOUR: i64 = DAY / 24;

/// A store of ten users, its backup, and the backup of its keyring.
struct Backed {
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
    keyring: PathBuf,
}

fn backed() -> Backed {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut store = open(&data);
    (0..10).for_each(|number| append_one(&mut store, number, 1, vec![number as u8; 300]));
    let keyring = dir.path().join("keyring.backup");
    back_up_keyring(&store, NOW, &keyring);
    let log = open_log(&data, &store, NOW + HOUR);
    write_erasure(&log, 7000);
    log.close();
    let bytes = back_up(&store);
    close(store);
    Backed { dir, bytes, keyring }
}

fn slot_of(store: &Store, number: usize) -> u32 {
    match store.users.find(&user(number)).expect("it reads") {
        Some(StoredUser::Living { row, .. }) => row.0,
        other => panic!("the user does not live: {other:?}"),
    }
}

fn is_erased(store: &Store, number: usize) -> bool {
    matches!(store.users.find(&user(number)).expect("it reads"), Some(StoredUser::Erased { .. }))
}

#[track_caller]
fn refused(dir: &Path, keyring: Option<PathBuf>, bytes: &[u8]) -> RestoreError {
    let to = dir.join("to");
    let error = try_restore(&restore_options(&to, keyring), bytes).expect_err("refused");
    let line = error.to_string();
    assert!(!line.contains('\n') && line.contains(": "), "one line with a remedy: {line}");
    assert!(!to.exists() || names(&to).is_empty(), "{:?}", names(&to));
    error
}

#[test]
fn without_a_keyring_or_with_another_one_nothing_is_restored() {
    let Backed { dir, bytes, keyring } = backed();
    let other = dir.path().join("other");
    close(open(&other));
    assert!(matches!(refused(dir.path(), None, &bytes), RestoreError::KeyringMissing));
    let missing = Some(dir.path().join("missing"));
    assert!(matches!(refused(dir.path(), missing, &bytes), RestoreError::KeyringMissing));
    // The other store has the same master key and other random keys.
    let store = store::open(
        options(&dir.path().join("third")),
        &master(),
        Arc::new(crate::kit::KeepAll),
        SeededEntropy::new(77),
    );
    drop(store.expect("opens"));
    let third = Some(dir.path().join("third/keyring"));
    assert!(matches!(refused(dir.path(), third, &bytes), RestoreError::WrongKeyring));
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(1);
    let restore_with_other_master = store::backup::restore(
        &restore_options(&dir.path().join("to"), Some(keyring.clone())),
        &MasterKey::new(2, [9; 32]),
        &entropy,
        &mut &bytes[..],
        &mut |_| {},
    );
    assert!(matches!(
        restore_with_other_master.expect_err("refused"),
        RestoreError::Open(OpenError::MasterKeyMissing { .. })
    ));
    try_restore(&restore_options(&dir.path().join("to"), Some(keyring)), &bytes).expect("restored");
    let restored = open(&dir.path().join("to"));
    assert!((0..10).all(|number| frames(&restored, number).len() == 1));
    assert_eq!(restored.backups.kept_until(), Some(NOW + 7 * DAY));
}

#[test]
fn a_keyring_backup_that_was_changed_or_is_kept_too_long_is_refused() {
    let Backed { dir, bytes, keyring } = backed();
    let whole = fs::read(&keyring).expect("a backup");
    let changed = dir.path().join("changed");
    for (at, cut) in [(whole.len() - 40, 0), (5000, 0), (whole.len() - 60, 0), (whole.len() - 48, 0)] {
        let mut copy = whole[cut..].to_vec();
        copy[at] ^= 1;
        fs::write(&changed, copy).expect("written");
        let error = refused(dir.path(), Some(changed.clone()), &bytes);
        assert!(matches!(error, RestoreError::KeyringBackup { .. }), "{at}: {error}");
    }
    // A part in the middle is missing.
    fs::write(&changed, [&whole[..8192], &whole[8256..]].concat()).expect("written");
    assert!(matches!(refused(dir.path(), Some(changed), &bytes), RestoreError::KeyringBackup { .. }));
    let mut late = restore_options(&dir.path().join("to"), Some(keyring));
    late.now = NOW + 7 * DAY;
    let error = try_restore(&late, &bytes).expect_err("refused");
    assert!(matches!(&error, RestoreError::KeyringExpired { until } if until.starts_with("2026-11-17")), "{error}");
}

#[test]
fn an_older_keyring_lacks_the_keys_of_newer_users_and_their_slots_are_not_given_out_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut store = open(&data);
    append_one(&mut store, 0, 1, vec![1; 100]);
    let keyring = dir.path().join("keyring.backup");
    back_up_keyring(&store, NOW, &keyring);
    let log = open_log(&data, &store, NOW + HOUR);
    write_erasure(&log, 7000);
    log.close();
    // More users than the keyring had slots that were written ahead.
    let group: Vec<_> = (1..3000).map(|number| crate::kit::record(number, 1, vec![2; 10])).collect();
    crate::kit::append_group(&mut store, &group).into_iter().for_each(|result| result.expect("in sequence"));
    let bytes = back_up(&store);
    close(store);

    let to = dir.path().join("to");
    let report = try_restore(&restore_options(&to, Some(keyring)), &bytes).expect("restored");
    assert_eq!((report.users, report.users_without_key), (3000, 3000 - 1024));
    assert_eq!(slot_state(&to, RowId(7000)), 2, "who was erased has no key that could be missing");
    let mut restored = open(&to);
    assert_eq!((frames(&restored, 0).len(), frames(&restored, 1023).len()), (1, 1));
    try_load(&*restored.reader, 2999).map(|_| ()).expect_err("it has no key");
    for number in 5000..5100 {
        append_one(&mut restored, number, 1, vec![3; 10]);
    }
    assert!(slot_of(&restored, 5000) >= 3000);
}

#[test]
fn erasures_after_the_keyring_backup_are_applied_again() {
    let Backed { dir, bytes, keyring } = backed();
    let data = dir.path().join("data");
    let store = open(&data);
    let slot = slot_of(&store, 4);
    let log = open_log(&data, &store, NOW + 2 * HOUR);
    write_erasure(&log, slot);
    log.close();
    let newer = back_up(&store);
    close(store);
    // The log of the first backup does not know the erasure, the log of the directory does.
    let to = dir.path().join("to");
    let mut options = restore_options(&to, Some(keyring));
    options.audit = Some(data.join("audit"));
    assert_eq!(try_restore(&options, &bytes).expect("restored").erasures_applied, 1);
    check_erased(&to);
    assert_eq!(
        fs::read(to.join("audit/compliance-2026-11.log")).expect("a log"),
        fs::read(data.join("audit/compliance-2026-11.log")).expect("a log")
    );
    fs::remove_dir_all(&to).expect("removed");
    options.audit = None;
    assert_eq!(try_restore(&options, &newer).expect("restored").erasures_applied, 1);
    check_erased(&to);
}

#[track_caller]
fn check_erased(dir: &Path) {
    let store = open(dir);
    assert!(is_erased(&store, 4), "the erased user is back");
    assert_eq!(frames(&store, 5).len(), 1);
}

#[test]
fn a_log_that_is_older_than_the_keyring_is_refused_unless_that_is_accepted() {
    let Backed { dir, bytes, .. } = backed();
    let data = dir.path().join("data");
    let store = open(&data);
    let late = dir.path().join("late.backup");
    back_up_keyring(&store, NOW + 5 * HOUR, &late);
    close(store);
    assert!(matches!(refused(dir.path(), Some(late.clone()), &bytes), RestoreError::AuditLogOlder));
    let mut options = restore_options(&dir.path().join("to"), Some(late));
    options.audit = Some(data.join("audit"));
    assert!(matches!(try_restore(&options, &bytes), Err(RestoreError::AuditLogOlder)));
    options.accept_older_log = true;
    try_restore(&options, &bytes).expect("restored");
}

#[test]
fn a_copy_of_a_keyring_may_be_of_any_age_so_a_log_is_needed_or_consent() {
    let Backed { dir, bytes, .. } = backed();
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    fs::copy(data.join("keyring"), &copy).expect("copied");
    assert!(matches!(refused(dir.path(), Some(copy.clone()), &bytes), RestoreError::KeyringAgeUnknown));
    let mut options = restore_options(&dir.path().join("to"), Some(copy.clone()));
    options.audit = Some(dir.path().join("missing"));
    assert!(matches!(try_restore(&options, &bytes), Err(RestoreError::Disk { .. })));
    options.audit = Some(data.join("audit"));
    try_restore(&options, &bytes).expect("restored");
    let mut options = restore_options(&dir.path().join("accepted"), Some(copy.clone()));
    options.accept_older_log = true;
    try_restore(&options, &bytes).expect("restored");
    // The one that lies in the directory already is that of the directory.
    let in_place = dir.path().join("in place");
    fs::create_dir(&in_place).expect("a directory");
    fs::copy(copy, in_place.join("keyring")).expect("copied");
    try_restore(&restore_options(&in_place, None), &bytes).expect("restored");
}

#[test]
fn a_log_that_was_changed_is_not_trusted() {
    let Backed { dir, bytes, keyring } = backed();
    let log = dir.path().join("log");
    fs::create_dir(&log).expect("a directory");
    for name in names(&dir.path().join("data/audit")) {
        fs::copy(dir.path().join("data/audit").join(&name), log.join(&name)).expect("copied");
    }
    let path = log.join("compliance-2026-11.log");
    let text = fs::read_to_string(&path).expect("a log").replace("\"slot\":7000", "\"slot\":7001");
    fs::write(&path, text).expect("written");
    let mut options = restore_options(&dir.path().join("to"), Some(keyring));
    options.audit = Some(log);
    let error = try_restore(&options, &bytes).expect_err("refused");
    assert!(matches!(error, RestoreError::AuditLog(_)), "{error}");
    assert_eq!(names(&dir.path().join("to")), Vec::<String>::new());
}

#[test]
fn a_data_directory_that_has_lost_its_keyring_gets_it_back_without_those_who_were_erased() {
    let Backed { dir, keyring, .. } = backed();
    let data = dir.path().join("data");
    let store = open(&data);
    let slot = slot_of(&store, 4);
    let log = open_log(&data, &store, NOW + 2 * HOUR);
    write_erasure(&log, slot);
    log.close();
    assert_eq!(store.backups.kept_until(), Some(NOW + 7 * DAY));
    close(store);
    let restore = KeyringRestore {
        store: options(&data),
        from: keyring,
        audit: None,
        accept_older_log: false,
        now: NOW + 3 * HOUR,
    };
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(3);
    let error = restore_keyring(&restore, &master(), &entropy).expect_err("there is one");
    assert!(matches!(error, RestoreError::KeyringThere { .. }), "{error}");
    fs::remove_file(data.join("keyring")).expect("lost");
    assert_eq!(restore_keyring(&restore, &master(), &entropy).expect("restored"), 1);
    check_erased(&data);

    let empty = KeyringRestore { store: options(&dir.path().join("empty")), ..restore };
    let error = restore_keyring(&empty, &master(), &entropy).expect_err("there is no data");
    assert!(matches!(error, RestoreError::NoData { .. }), "{error}");
}

#[test]
fn who_was_erased_stays_erased_in_a_restore_of_an_older_backup_and_of_a_newer_one() {
    let Backed { dir, bytes, .. } = backed();
    let data = dir.path().join("data");
    let mut store = open(&data);
    let erase = |store: &mut Store, number: usize| {
        let tombstone = Tombstone {
            generation: 1,
            erased_at: NOW,
            reason: ErasureReason::Citizen,
            last_revision: 1,
            last_sequence: 2,
            was_shared: false,
        };
        let body = tombstone.encode().to_vec();
        let record = Record { user: user(number), generation: 1, sequence: 2, kind: RecordKind::ERASURE, body };
        let row = store.journal.append(&[record]).expect("taken")[0].expect("in sequence");
        store.keys.forget(&ErasedUser { user: user(number), row, tombstone }).expect("forgotten");
    };
    erase(&mut store, 4);
    store.closer.checkpoint().expect("a checkpoint");
    erase(&mut store, 6);
    let newer = back_up(&store);
    close(store);
    for (backup, what) in [(bytes, "older"), (newer, "newer")] {
        let to = dir.path().join(what);
        let mut options = restore_options(&to, Some(data.join("keyring")));
        // The keyring itself knows, and there is no log.
        options.accept_older_log = true;
        try_restore(&options, &backup).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut restored = open(&to);
        assert!(is_erased(&restored, 4) && is_erased(&restored, 6) && !is_erased(&restored, 5), "{what}");
        assert_eq!(frames(&restored, 5).len(), 1, "{what}");
        // Another life may follow, as after an erasure in the directory itself.
        let next = Record { generation: 2, ..crate::kit::record(4, 3, vec![1]) };
        restored.journal.append(&[next]).expect("taken")[0].unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
}
