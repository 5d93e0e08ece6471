//! The key of the saved projection, which every erasure replaces.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use domain::port::journal::RowId;
use domain::port::log::LogPosition;
use domain::port::projection::ProjectionSource;
use domain::port::store::StoreError;
use store::StoreOptions;

use crate::erasure::slot_state;
use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::{append_one, options, try_open};

/// Where the header of the file has the slot: see `store/src/projection/header.rs`.
const SLOT_AT: usize = 36;

/// A projection that is always complete.
struct Complete;

impl ProjectionSource for Complete {
    fn settle(&self) -> Option<LogPosition> {
        Some(LogPosition(u64::MAX))
    }

    fn layout(&self) -> u32 {
        1
    }

    fn pieces(&self, save: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        save(vec![7; 100])
    }
}

/// Returns the slot of the key under which the projection is saved.
fn slot_of_file(dir: &Path) -> RowId {
    let bytes = fs::read(dir.join("columns")).expect("a saved projection");
    RowId(u32::from_le_bytes(bytes[SLOT_AT..SLOT_AT + 4].try_into().expect("four bytes")))
}

#[test]
fn a_replacement_that_failed_forgets_no_key() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let options = StoreOptions { disk: Arc::new(disk.clone()), ..options(dir.path()) };
    let mut store = try_open(options, 1).expect("the store opens");
    append_one(&mut store, 0, 1, b"one".to_vec());
    store.closer.save_projection(Arc::new(Complete));
    store.closer.checkpoint().expect("a checkpoint");
    let first = slot_of_file(dir.path());
    assert_eq!(slot_state(dir.path(), first), 1);
    // The new key is noted, and the old one cannot be overwritten.
    disk.set(FaultPlan { path: "keyring", full: 1, ..FaultPlan::default() });
    assert!(store.closer.reseal_projection().is_err() && disk.is_used_up());
    assert_eq!(slot_state(dir.path(), first), 1, "it is there still");
    store.closer.reseal_projection().expect("resealed");
    assert_eq!(slot_state(dir.path(), first), 2, "the first key is destroyed");
    let last = slot_of_file(dir.path());
    assert_eq!(slot_state(dir.path(), last), 1);
    let between: Vec<_> = (first.0 + 1..last.0).map(|slot| slot_state(dir.path(), RowId(slot))).collect();
    assert!(!between.is_empty() && between.iter().all(|state| *state == 2), "{between:?}");
}
