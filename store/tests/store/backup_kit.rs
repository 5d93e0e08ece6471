//! Shared by the tests of backups.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use domain::port::clock::Entropy;
use store::Store;
use store::audit::{self, AuditKeys, AuditOptions, AuditStore};
use store::backup::{BackupOptions, RestoreError, RestoreOptions, RestoreReport, restore};

use crate::kit::clock::{DAY, TestClock};
use crate::kit::{SeededEntropy, load_history, master, options, try_load};

/// 2026-11-10 in microseconds since the Unix epoch.
pub(crate) const NOW: i64 = 20_767 * DAY;

/// Makes a backup without a pause.
#[track_caller]
pub(crate) fn back_up(store: &Store) -> Vec<u8> {
    let mut backup = store.backups.begin(BackupOptions { bytes_per_second: None, now: NOW }).expect("it begins");
    let mut bytes = Vec::new();
    while let Some(next) = backup.next_bytes().expect("it goes on") {
        bytes.extend_from_slice(&next);
    }
    bytes
}

/// Makes a backup of the keyring that may be kept for a week.
#[track_caller]
pub(crate) fn back_up_keyring(store: &Store, now: i64, to: &Path) {
    let mut backup = store.backups.back_up_keyring(now, now + 7 * DAY).expect("it begins");
    let mut bytes = Vec::new();
    while let Some(next) = backup.next_bytes().expect("it goes on") {
        bytes.extend_from_slice(&next);
    }
    assert_eq!(bytes.len() as u64, backup.bytes());
    fs::write(to, bytes).expect("written");
}

/// Returns the options of a restore into `dir`, with the keyring at a path.
pub(crate) fn restore_options(dir: &Path, keyring: Option<PathBuf>) -> RestoreOptions {
    let store = options(dir);
    RestoreOptions { store, keyring, audit: None, accept_older_log: false, verify: true, now: NOW }
}

/// Returns the options of a restore with a copy of a store's keyring, whose age nobody asks for.
pub(crate) fn restore_options_with_copy(dir: &Path, keyring: PathBuf) -> RestoreOptions {
    RestoreOptions { accept_older_log: true, ..restore_options(dir, Some(keyring)) }
}

/// Restores a backup.
pub(crate) fn try_restore(options: &RestoreOptions, mut bytes: &[u8]) -> Result<RestoreReport, RestoreError> {
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(99);
    restore(options, &master(), &entropy, &mut bytes, &mut |_| {})
}

/// Returns the names in a directory, but for the lock.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "LOCK");
    names.sort();
    names
}

/// What is stored about a user: the state and the frames, and the history.
pub(crate) type UserImage = (u64, Option<Vec<u8>>, Vec<Vec<u8>>, Vec<Vec<u8>>);

/// Returns what is stored about the first users.
#[track_caller]
pub(crate) fn images(store: &Store, users: usize) -> Vec<Option<UserImage>> {
    let image = |number| {
        let loaded = try_load(&*store.reader, number).expect("it loads")?;
        let history = load_history(&*store.reader, number, 0)?;
        Some((loaded.sequence, Some(crate::kit::join(&loaded.all())), history.blocks, Vec::new()))
    };
    (0..users).map(image).collect()
}

/// Opens the audit log of a data directory at a time.
#[track_caller]
pub(crate) fn open_log(dir: &Path, store: &Store, now: i64) -> AuditStore {
    let clock = TestClock::at_day(0);
    clock.advance(now);
    let keys = AuditKeys::derive(&store.system_keys);
    audit::open(&AuditOptions::new(dir, clock), keys).unwrap_or_else(|error| panic!("the log opens: {error}"))
}

/// Writes the entry of an erasure.
#[track_caller]
pub(crate) fn write_erasure(log: &AuditStore, slot: u32) {
    let entry = AuditEntry::new(AuditCategory::Compliance, "profile.erase", AuditActor::System);
    let mut entry = entry.with("slot", AuditValue::Integer(slot.into()));
    entry.generation = Some(1);
    log.write_blocking(entry).expect("an entry");
}
