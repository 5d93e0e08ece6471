//! Appending and loading.

use domain::port::journal::OutOfSequence;

use crate::kit::{append_one, frames, open, record, try_load};

#[test]
fn what_was_appended_is_loaded_before_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    assert!(try_load(&*store.reader, 1).expect("reads").is_none());
    let first =
        store.journal.append(&[record(1, 1, b"a".to_vec()), record(2, 1, b"b".to_vec()), record(1, 2, vec![7; 5000])]);
    assert_eq!(first.expect("taken"), [Ok(()), Ok(()), Ok(())]);
    append_one(&mut store, 1, 3, Vec::new());
    let check = |store: &store::Store| {
        assert_eq!(frames(store, 1), [b"a".to_vec(), vec![7; 5000], Vec::new()]);
        assert_eq!(frames(store, 2), [b"b".to_vec()]);
    };
    check(&store);
    let epoch = store.epoch;
    drop(store);

    let store = open(dir.path());
    check(&store);
    assert_eq!(store.epoch, epoch);
}

#[test]
fn a_record_that_does_not_continue_its_user_is_refused_and_harms_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let mut append = |number, sequence| store.journal.append(&[record(number, sequence, vec![1])]).expect("taken")[0];
    assert_eq!(append(1, 2), Err(OutOfSequence { expected: 1 }));
    assert_eq!(append(1, 1), Ok(()));
    assert_eq!(append(1, 1), Err(OutOfSequence { expected: 2 }));
    assert_eq!(append(1, 3), Err(OutOfSequence { expected: 2 }));
    let mixed = store.journal.append(&[
        record(1, 9, vec![9]),
        record(1, 2, vec![2]),
        record(1, 2, vec![9]),
        record(3, 1, vec![1]),
        record(1, 3, vec![3]),
    ]);
    let refused = |expected| Err(OutOfSequence { expected });
    assert_eq!(mixed.expect("taken"), [refused(2), Ok(()), refused(3), Ok(()), Ok(())]);
    assert_eq!(frames(&store, 1), [[1], [2], [3]]);

    let mut other_generation = record(1, 4, vec![4]);
    other_generation.generation = 2;
    assert_eq!(store.journal.append(&[other_generation]).expect("taken"), [refused(4)]);
}

#[test]
fn a_group_larger_than_a_segment_is_taken_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let group: Vec<_> = (0..20).map(|number| record(number, 1, vec![number as u8; 50_000])).collect();
    assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
    append_one(&mut store, 0, 2, vec![1]);
    drop(store);
    let store = open(dir.path());
    for number in 1..20 {
        assert_eq!(frames(&store, number), [vec![number as u8; 50_000]]);
    }
    assert_eq!(frames(&store, 0).len(), 2);
}
