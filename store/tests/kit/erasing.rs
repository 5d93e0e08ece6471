//! Users of whom some are erased again and again, so that tests of crashes meet erasures at every step.

use std::path::Path;

use domain::erasure::{ErasureReason, Tombstone};
use domain::port::erasure::{ErasedUser, StoredUser};
use domain::port::journal::{Record, RecordKind, RowId};
use domain::port::store::LoadedUser;
use store::Store;

use super::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES};
use super::{Loaded, record, split, user};

/// Records of a generation of an erased user: the last one is the erasure.
pub(crate) const GENERATION_RECORDS: u64 = 4;

/// Returns whether a user is erased with each fourth record.
pub(crate) fn is_erased_often(number: usize) -> bool {
    number.is_multiple_of(5)
}

fn generation(number: usize, sequence: u64) -> u32 {
    if is_erased_often(number) { 1 + ((sequence - 1) / GENERATION_RECORDS) as u32 } else { 1 }
}

fn is_erasure(number: usize, sequence: u64) -> bool {
    is_erased_often(number) && sequence.is_multiple_of(GENERATION_RECORDS)
}

fn tombstone(number: usize, sequence: u64) -> Tombstone {
    Tombstone {
        generation: generation(number, sequence),
        erased_at: sequence as i64,
        reason: ErasureReason::Citizen,
        last_revision: sequence - 1,
        last_sequence: sequence,
        was_shared: false,
    }
}

/// Returns the `sequence`-th record of user `number`: a change with `body`, or an erasure.
pub(crate) fn erasing_record(number: usize, sequence: u64, body: Vec<u8>) -> Record {
    let generation = generation(number, sequence);
    if is_erasure(number, sequence) {
        let body = tombstone(number, sequence).encode().to_vec();
        return Record { kind: RecordKind::ERASURE, generation, ..record(number, sequence, body) };
    }
    Record { generation, ..record(number, sequence, body) }
}

/// Finishes the erasures among the durable records of a group: destroys the keys.
#[track_caller]
pub(crate) fn finish_erasures(store: &Store, group: &[Record], rows: &[RowId]) {
    for (record, row) in group.iter().zip(rows).filter(|(record, _)| record.kind == RecordKind::ERASURE) {
        let tombstone = Tombstone::decode(&record.body, record.generation).expect("a tombstone");
        store.keys.forget(&ErasedUser { user: record.user, row: *row, tombstone }).expect("forgotten");
    }
}

/// Returns the sequence of a user's newest record, after checking that the store has exactly the records of the present
/// generation up to it, or the tombstone of an erased one.
#[track_caller]
pub(crate) fn check_user(store: &Store, number: usize, body: impl Fn(usize, u64) -> Vec<u8>, what: &str) -> u64 {
    let mut loaded = Loaded::default();
    match store.reader.load(&user(number), &mut loaded).unwrap_or_else(|error| panic!("{what}: {number}: {error}")) {
        None => 0,
        Some(LoadedUser::Erased { tombstone: found, .. }) => {
            assert_eq!(found, tombstone(number, found.last_sequence), "{what}: user {number}");
            assert!(is_erasure(number, found.last_sequence), "{what}: user {number} was not erased");
            found.last_sequence
        }
        Some(LoadedUser::Living { sequence, .. }) => {
            assert!(!is_erasure(number, sequence), "{what}: user {number} was erased");
            let mut found = split(loaded.state.as_deref().unwrap_or_default()).expect("a state");
            found.append(&mut loaded.frames);
            let first = sequence + 1 - found.len() as u64;
            let expected_first = 1 + u64::from(generation(number, sequence) - 1) * GENERATION_RECORDS;
            assert_eq!(first, expected_first, "{what}: the first record of user {number}");
            for (frame, sequence) in found.iter().zip(first..) {
                assert_eq!(*frame, body(number, sequence), "{what}: user {number}");
            }
            sequence
        }
    }
}

/// Asserts that no key is in the keyring for a generation whose erasure was acknowledged with a record of user `number`.
#[track_caller]
pub(crate) fn check_key_is_gone(dir: &Path, store: &Store, number: usize, acknowledged: u64, what: &str) {
    let erased = acknowledged / GENERATION_RECORDS;
    if !is_erased_often(number) || erased == 0 {
        return;
    }
    let (StoredUser::Living { row, .. } | StoredUser::Erased { row, .. }) =
        store.users.find(&user(number)).expect("the store reads").expect("a user");
    let keyring = std::fs::read(dir.join("keyring")).expect("a keyring");
    let slot = &keyring[KEYRING_HEADER_BYTES + row.0 as usize * SLOT_BYTES..][..SLOT_BYTES];
    let generation = u32::from_le_bytes(slot[4..8].try_into().expect("four bytes"));
    let is_live = slot[0] == 1;
    let is_gone = u64::from(generation) > erased || (u64::from(generation) == erased && !is_live);
    assert!(is_gone, "{what}: the keyring has a key of generation {generation} of user {number}");
}
