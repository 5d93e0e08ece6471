//! A fault of one user or one run affects no other user and no later run.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::port::clock::Entropy;
use domain::port::journal::{JournalError, OutOfSequence, Record};
use domain::port::store::{Fold, Folded, SideRecord, StoreError};
use store::{Store, StoreHealth};

use crate::kit;
use crate::kit::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES, WRAPPED_KEY_BYTE_AT};
use crate::kit::{KeepAll, SeededEntropy, append_one, frames, load_history, master, open, options, record, try_load};

/// Panics at the frame `panic`.
struct PanickingFold;

impl Fold for PanickingFold {
    fn fold(
        &self,
        state: Option<&[u8]>,
        newest_block: Option<&SideRecord>,
        frames: &[Record],
    ) -> Result<Folded, StoreError> {
        assert!(!frames.iter().any(|record| record.body == b"panic"), "injected");
        KeepAll.fold(state, newest_block, frames)
    }
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
        store::open(options(dir.path()), &master(), Arc::new(PanickingFold), SeededEntropy::new(1)).expect("opens");
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
