//! A fault of one user or one run affects no other user and no later run.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::port::clock::Entropy;
use domain::port::journal::{JournalError, OutOfSequence, Record, RecordKind};
use domain::port::log::LogPosition;
use domain::port::store::{Fold, SideChanges, SideKind, SideRecord, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Store, StoreHealth};

use crate::kit;
use crate::kit::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES, WRAPPED_KEY_BYTE_AT};
use crate::kit::{
    BLOCK_FRAMES, KeepAll, KeepAllAfter, SeededEntropy, append_one, frames, join, load_history, master, open, options,
    record, split, try_load,
};

/// Panics at the frame `panic`.
fn panic_at_a_frame(frames: &[Record]) -> Result<(), StoreError> {
    assert!(!frames.iter().any(|record| record.body == b"panic"), "injected");
    Ok(())
}

#[track_caller]
fn assert_damaged(store: &Store, number: usize) {
    let Err(error) = try_load(&*store.reader, number) else { panic!("damaged") };
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_checkpoint_puts_a_damaged_user_into_quarantine_and_continues() {
    let dir = tempfile::tempdir().expect("a directory");
    let segments = || kit::segments(dir.path());
    let mut store =
        store::open(options(dir.path()), &master(), Arc::new(KeepAllAfter(panic_at_a_frame)), SeededEntropy::new(1))
            .expect("opens");
    for number in 0..4 {
        append_one(&mut store, number, 1, vec![7; 200]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    // Slots are taken in order, so user 1 has the second one.
    let keyring = std::fs::File::options().write(true).open(dir.path().join("keyring")).expect("the keyring");
    keyring
        .write_all_at(&[0xff; 4], (KEYRING_HEADER_BYTES + SLOT_BYTES + WRAPPED_KEY_BYTE_AT) as u64)
        .expect("written");
    append_one(&mut store, 2, 2, b"panic".to_vec());
    assert_eq!(store.journal.append(&[record(1, 2, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    for sequence in 2..500 {
        append_one(&mut store, 3, sequence, vec![3; 2000]);
    }
    assert!(segments() > 2);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!((segments(), store.status.health()), (1, StoreHealth::Ok));
    assert_eq!((frames(&store, 0).len(), frames(&store, 3).len()), (1, 499));
    assert_damaged(&store, 1);
    assert_damaged(&store, 2);
    assert_eq!(store.journal.append(&[record(2, 3, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    drop(store);

    let mut store = open(dir.path());
    assert_damaged(&store, 2);
    assert_eq!(store.journal.append(&[record(2, 3, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    append_one(&mut store, 3, 500, vec![3]);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(frames(&store, 3).len(), 500);
}

/// Refuses records of other kinds than changes, as the domain does.
fn know_changes_alone(frames: &[Record]) -> Result<(), StoreError> {
    if frames.iter().any(|record| record.kind != RecordKind::CHANGE) {
        return Err(StoreError::Damaged { what: "an unknown kind".to_owned() });
    }
    Ok(())
}

#[test]
fn a_record_of_a_later_release_concerns_its_own_user_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || {
        store::open(options(dir.path()), &master(), Arc::new(KeepAllAfter(know_changes_alone)), SeededEntropy::new(1))
            .expect("opens")
    };
    let mut store = open();
    append_one(&mut store, 1, 1, vec![1]);
    append_one(&mut store, 2, 1, vec![2]);
    let later = Record { kind: RecordKind(9), ..record(1, 2, vec![3]) };
    assert!(store.journal.append(std::slice::from_ref(&later)).expect("taken")[0].is_ok());
    drop(store);

    let mut store = open();
    assert_eq!(frames(&store, 1), [[1], [3]], "every kind is passed on");
    let log = store.log.read(store.log.oldest(), LogPosition(u64::MAX), 1 << 20).expect("reads");
    assert_eq!(log.entries.last().map(|entry| &entry.record), Some(&later));
    append_one(&mut store, 2, 2, vec![4]);
    store.closer.checkpoint().expect("a checkpoint");
    assert_damaged(&store, 1);
    assert_eq!(frames(&store, 2), [[2], [4]]);
}

/// Removes each history block that is full, and keeps all else.
struct FoldWithoutHistory;

impl Fold for FoldWithoutHistory {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        KeepAll.replay(state, frames)
    }

    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let changes = KeepAll.keep_history(state, newest_block, frames)?;
        let is_full = |record: &SideRecord| {
            record.key.kind == SideKind::HISTORY && split(&record.body).is_ok_and(|all| all.len() == BLOCK_FRAMES)
        };
        let (full, put): (Vec<_>, Vec<_>) = changes.put.into_iter().partition(is_full);
        Ok(SideChanges { put, remove: full.into_iter().map(|block| block.key).collect() })
    }
}

#[test]
fn side_records_that_a_fold_removes_are_gone_with_all_their_values() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store::open(options(dir.path()), &master(), Arc::new(FoldWithoutHistory), SeededEntropy::new(1))
        .expect("opens");
    for sequence in 1..=4 {
        // Random bytes do not compress, so that a block takes several values.
        let mut body = vec![0; 3000];
        StdRng::seed_from_u64(sequence).fill(&mut body[..]);
        append_one(&mut store, 1, sequence, body);
        store.closer.checkpoint().expect("a checkpoint");
        let history = load_history(&*store.reader, 1, 0).expect("a user");
        assert_eq!((history.blocks.len(), history.all().len() as u64), (usize::from(sequence < 4), sequence));
    }
    append_one(&mut store, 1, 5, vec![5]);
    store.closer.checkpoint().expect("a checkpoint");
    let history = load_history(&*store.reader, 1, 0).expect("a user");
    assert_eq!(history.blocks, [join(&[vec![5]])]);
}

#[test]
fn a_user_with_more_frames_than_fit_in_a_slice_folds_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    for sequence in 1..=20 {
        append_one(&mut store, 1, sequence, vec![sequence as u8; 600_000]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    let expected: Vec<_> = (1..=20).map(|sequence| vec![sequence; 600_000]).collect();
    assert!(frames(&store, 1) == expected, "all frames, in order");
    let history = load_history(&*store.reader, 1, 0).expect("a user");
    assert_eq!(history.blocks.len(), 5);
}

/// Randomness that panics on demand.
struct PanickingEntropy(Arc<SeededEntropy>, AtomicBool);

impl Entropy for PanickingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.1.load(Ordering::Relaxed), "injected");
        self.0.fill(bytes);
    }
}

#[test]
fn a_panic_fails_one_group_or_one_checkpoint_and_nothing_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let entropy = Arc::new(PanickingEntropy(SeededEntropy::new(1), AtomicBool::new(false)));
    let mut store = store::open(options(dir.path()), &master(), Arc::new(KeepAll), entropy.clone()).expect("opens");
    append_one(&mut store, 1, 1, vec![1]);
    entropy.1.store(true, Ordering::Relaxed);
    assert!(matches!(store.journal.append(&[record(1, 2, vec![2])]), Err(JournalError::NotTaken(_))));
    store.closer.checkpoint().expect_err("a panic");
    entropy.1.store(false, Ordering::Relaxed);
    assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
    append_one(&mut store, 1, 2, vec![2]);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!((store.status.health(), frames(&store, 1).len()), (StoreHealth::Ok, 2));
}
