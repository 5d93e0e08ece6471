//! The registry in the store: a disk that fails, and an open store's own lifetime.

use std::path::Path;
use std::sync::Arc;

use domain::port::registry::{RegistryEntry, RegistryError, RegistryKind};
use store::{OpenError, Store};

use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::{append_one, close, open, options, try_open};

const KIND: RegistryKind = RegistryKind::REVOCATION;
const FOR_EVER: u32 = u32::MAX;

fn open_on(dir: &Path, disk: &FaultyDisk) -> Store {
    let mut options = options(dir);
    options.disk = Arc::new(disk.clone());
    try_open(options, 1).expect("the store opens")
}

fn put(store: &Store, key: &[u8]) -> Result<(), RegistryError> {
    store.registry.put(KIND, key, RegistryEntry { value: key.repeat(3), expires_at: None })
}

fn keys(store: &Store) -> Vec<Vec<u8>> {
    store.registry.list(KIND, 0).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_write_or_sync_that_fails_once_is_repeated_in_a_new_file() {
    let plans = [
        FaultPlan { syncs: 1, ..FaultPlan::default() },
        FaultPlan { syncs: 1, loses_pages: true, ..FaultPlan::default() },
        FaultPlan { torn: 1, ..FaultPlan::default() },
        FaultPlan { short: 1, ..FaultPlan::default() },
    ];
    for plan in plans {
        let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
        let store = open_on(dir.path(), &disk);
        put(&store, b"before").expect("durable");
        disk.set(FaultPlan { path: "registry", ..plan.clone() });
        put(&store, b"during").unwrap_or_else(|error| panic!("{plan:?}: {error}"));
        assert!(disk.is_used_up(), "{plan:?}");
        put(&store, b"past").expect("durable");
        drop(store);
        disk.crash();
        assert_eq!(keys(&open(dir.path())), [&b"before"[..], b"during", b"past"], "{plan:?}");
    }
}

#[test]
fn while_nothing_can_be_written_changes_fail_and_reads_go_on() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let store = open_on(dir.path(), &disk);
    put(&store, b"before").expect("durable");
    disk.set(FaultPlan { path: "registry", syncs: FOR_EVER, ..FaultPlan::default() });
    for _ in 0..3 {
        assert!(matches!(put(&store, b"during"), Err(RegistryError::Unavailable { .. })));
        assert!(matches!(store.registry.remove(KIND, b"before"), Err(RegistryError::Unavailable { .. })));
    }
    assert_eq!(keys(&store), [b"before"]);
    disk.set(FaultPlan::default());
    put(&store, b"past").expect("durable, since the disk works again");
    drop(store);
    disk.crash();
    assert_eq!(keys(&open(dir.path())), [&b"before"[..], b"past"]);
}

#[test]
fn a_name_that_was_not_synced_is_not_relied_on() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let store = open_on(dir.path(), &disk);
    put(&store, b"before").expect("durable");
    disk.set(FaultPlan { path: "registry", syncs: 1, ..FaultPlan::default() });
    put(&store, b"during").expect("durable in a new file");
    disk.set(FaultPlan { syncs: 1, name_syncs: 1, ..FaultPlan::default() });
    assert!(matches!(put(&store, b"unnamed"), Err(RegistryError::Unavailable { .. })));
    put(&store, b"past").expect("durable in another new file");
    drop(store);
    disk.crash();
    assert_eq!(keys(&open(dir.path())), [&b"before"[..], b"during", b"past"]);
}

#[test]
fn a_store_with_a_journal_needs_its_registry() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_one(&mut store, 1, 1, b"body".to_vec());
    close(store);
    let path = dir.path().join("registry");
    std::fs::remove_file(&path).expect("removed");
    match try_open(options(dir.path()), 1).map(|_| ()) {
        Err(OpenError::PartMissing { path: missing }) => assert_eq!(missing, path),
        other => panic!("{other:?}"),
    }
}

#[test]
fn system_keys_stay_the_same_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let key = store.system_keys.derive("cursors");
    close(store);
    assert_eq!(open(dir.path()).system_keys.derive("cursors"), key);
}
