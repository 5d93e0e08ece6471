//! What is wrong with one user, or with one run, stops nobody else and no later run.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::port::clock::Entropy;
use domain::port::journal::{JournalError, OutOfSequence};
use domain::port::store::{Fold, Folded, StoreError};
use store::{Store, StoreHealth};

use crate::kit;
use crate::kit::{KeepAll, SeededEntropy, frames, load_history, master, open, options, record, try_load};

const SEGMENT_HEADER: u64 = 4096;

/// Panics at a frame that says so.
struct Panicky;

impl Fold for Panicky {
    fn fold(&self, state: Option<&[u8]>, tail: Option<&[u8]>, frames: &[Vec<u8>]) -> Result<Folded, StoreError> {
        assert!(!frames.iter().any(|frame| frame == b"panic"), "injected");
        KeepAll.fold(state, tail, frames)
    }
}

#[track_caller]
fn is_damaged(store: &Store, number: usize) {
    let Err(error) = try_load(&*store.reader, number) else { panic!("damaged") };
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_checkpoint_sets_a_damaged_user_aside_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let segments = || kit::segments(dir.path());
    let mut store =
        store::open(options(dir.path()), &master(), Arc::new(Panicky), SeededEntropy::new(1)).expect("opens");
    for number in 0..4 {
        store.journal.append(&[record(number, 1, vec![7; 200])]).expect("taken")[0].expect("in sequence");
    }
    store.closer.checkpoint().expect("a checkpoint");
    // Slots are given out in order: user 1 has the second.
    let keyring = std::fs::File::options().write(true).open(dir.path().join("keyring")).expect("the keyring");
    keyring.write_all_at(&[0xff; 4], SEGMENT_HEADER + 64 + 20).expect("written");
    store.journal.append(&[record(2, 2, b"panic".to_vec())]).expect("taken")[0].expect("in sequence");
    assert_eq!(store.journal.append(&[record(1, 2, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    for sequence in 2..500 {
        store.journal.append(&[record(3, sequence, vec![3; 2000])]).expect("taken")[0].expect("in sequence");
    }
    assert!(segments() > 2);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!((segments(), store.status.health()), (1, StoreHealth::Ok));
    assert_eq!((frames(&store, 0).len(), frames(&store, 3).len()), (1, 499));
    is_damaged(&store, 1);
    is_damaged(&store, 2);
    assert_eq!(store.journal.append(&[record(2, 3, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    drop(store);

    let mut store = open(dir.path());
    is_damaged(&store, 2);
    assert_eq!(store.journal.append(&[record(2, 3, vec![1])]).expect("taken")[0], Err(OutOfSequence { expected: 0 }));
    store.journal.append(&[record(3, 500, vec![3])]).expect("taken")[0].expect("in sequence");
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(frames(&store, 3).len(), 500);
}

#[test]
fn a_user_with_more_frames_than_fit_in_a_slice_folds_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    for sequence in 1..=20 {
        store.journal.append(&[record(1, sequence, vec![sequence as u8; 600_000])]).expect("taken")[0].expect("taken");
    }
    store.closer.checkpoint().expect("a checkpoint");
    let expected: Vec<_> = (1..=20).map(|sequence| vec![sequence; 600_000]).collect();
    assert!(frames(&store, 1) == expected, "all frames, in order");
    let history = load_history(&*store.reader, 1, 0).expect("a user");
    assert_eq!(history.blocks.len(), 5);
}

/// Randomness that panics when told to.
struct Exploding(Arc<SeededEntropy>, AtomicBool);

impl Entropy for Exploding {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.1.load(Ordering::Relaxed), "injected");
        self.0.fill(bytes);
    }
}

#[test]
fn a_panic_fails_one_group_or_one_checkpoint_and_nothing_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let entropy = Arc::new(Exploding(SeededEntropy::new(1), AtomicBool::new(false)));
    let mut store = store::open(options(dir.path()), &master(), Arc::new(KeepAll), entropy.clone()).expect("opens");
    store.journal.append(&[record(1, 1, vec![1])]).expect("taken")[0].expect("in sequence");
    entropy.1.store(true, Ordering::Relaxed);
    assert!(matches!(store.journal.append(&[record(1, 2, vec![2])]), Err(JournalError::NotTaken(_))));
    store.closer.checkpoint().expect_err("a panic");
    entropy.1.store(false, Ordering::Relaxed);
    assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
    store.journal.append(&[record(1, 2, vec![2])]).expect("taken")[0].expect("in sequence");
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!((store.status.health(), frames(&store, 1).len()), (StoreHealth::Ok, 2));
}
