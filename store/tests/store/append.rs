//! Appending and loading.

use domain::port::journal::OutOfSequence;
use domain::port::store::LoadedUser;

use crate::kit::{append_group, append_one, frames, open, record, try_load, user};

#[test]
fn what_was_appended_is_loaded_before_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    assert!(try_load(&*store.reader, 1).expect("reads").is_none());
    let group = [record(1, 1, b"a".to_vec()), record(2, 1, b"b".to_vec()), record(1, 2, vec![7; 5000])];
    assert_eq!(append_group(&mut store, &group), [Ok(()), Ok(()), Ok(())]);
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
    let mut append = |number, sequence| append_group(&mut store, &[record(number, sequence, vec![1])])[0];
    assert_eq!(append(1, 2), Err(OutOfSequence { expected: 1 }));
    assert_eq!(append(1, 1), Ok(()));
    assert_eq!(append(1, 1), Err(OutOfSequence { expected: 2 }));
    assert_eq!(append(1, 3), Err(OutOfSequence { expected: 2 }));
    let mixed = [
        record(1, 9, vec![9]),
        record(1, 2, vec![2]),
        record(1, 2, vec![9]),
        record(3, 1, vec![1]),
        record(1, 3, vec![3]),
    ];
    let refused = |expected| Err(OutOfSequence { expected });
    assert_eq!(append_group(&mut store, &mixed), [refused(2), Ok(()), refused(3), Ok(()), Ok(())]);
    assert_eq!(frames(&store, 1), [[1], [2], [3]]);

    let mut other_generation = record(1, 4, vec![4]);
    other_generation.generation = 2;
    assert_eq!(append_group(&mut store, &[other_generation]), [refused(4)]);
}

#[test]
fn a_user_has_one_row_for_life() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let mut rows = Vec::new();
    for sequence in 1..=3 {
        let group: Vec<_> = (0..20).map(|number| record(number, sequence, vec![1])).collect();
        let found: Vec<_> =
            store.journal.append(&group).expect("taken").into_iter().map(|row| row.expect("taken")).collect();
        if rows.is_empty() {
            let mut distinct = found.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), found.len());
            rows = found;
        } else {
            assert_eq!(rows, found);
        }
        store.closer.checkpoint().expect("a checkpoint");
        drop(store);
        store = open(dir.path());
        for (number, row) in rows.iter().enumerate() {
            let found = store.reader.load(&user(number), &mut crate::kit::Loaded::default()).expect("reads");
            assert_eq!(found, Some(LoadedUser::Living { row: *row, sequence }));
        }
    }
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
