//! Checkpoints, and a model test over random appends, checkpoints and restarts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::port::journal::{OutOfSequence, Record};
use domain::port::store::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Store, StoreOptions};

use crate::kit;
use crate::kit::{
    BLOCK_FRAMES, KeepAllAfter, Loaded, SeededEntropy, append_group, append_one, check_history, close, drop_parts,
    frames, join, load_history, master, open, options, record, seed, split, try_load, try_open, user,
};

#[test]
fn a_checkpoint_moves_frames_into_state_and_history_and_removes_segments() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    for sequence in 1..=30 {
        let group: Vec<_> = (0..20).map(|number| record(number, sequence, vec![sequence as u8; 1000])).collect();
        store.journal.append(&group).expect("taken");
    }
    let segments = || kit::segments(dir.path());
    assert!(segments() > 2);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(segments(), 1);
    let loaded = try_load(&*store.reader, 3).expect("reads").expect("a user");
    assert_eq!((loaded.sequence, loaded.frames.len()), (30, 0));
    let expected: Vec<_> = (1..=30).map(|sequence| vec![sequence as u8; 1000]).collect();
    assert_eq!(frames(&store, 3), expected);

    let history = load_history(&*store.reader, 3, 0).expect("a user");
    assert_eq!(history.blocks, expected.chunks(BLOCK_FRAMES).map(join).collect::<Vec<_>>());
}

#[test]
fn a_stale_incarnation_cannot_fork_a_user_after_a_checkpoint() {
    for known_users in [0, 1000] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = options(dir.path());
        options.known_users = known_users;
        let mut store = try_open(options, 1).expect("the store opens");
        for sequence in 1..=3 {
            append_one(&mut store, 1, sequence, vec![1]);
        }
        store.closer.checkpoint().expect("a checkpoint");
        let mut append = |sequence| append_group(&mut store, &[record(1, sequence, vec![2])])[0];
        for stale in [1, 2, 3, 5] {
            assert_eq!(append(stale), Err(OutOfSequence { expected: 4 }));
        }
        assert_eq!(append(4), Ok(()));
        assert_eq!(append(4), Err(OutOfSequence { expected: 5 }));
    }
}

#[test]
fn large_states_create_no_blobs_of_sled() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let mut random = StdRng::seed_from_u64(1);
    for sequence in 1..=4 {
        for number in 0..8 {
            // Random bytes do not compress.
            let mut body = vec![0; 60_000];
            random.fill(&mut body[..]);
            append_one(&mut store, number, sequence, body);
        }
        store.closer.checkpoint().expect("a checkpoint");
    }
    let large = frames(&store, 7);
    close(store);
    let blobs = std::fs::read_dir(dir.path().join("sled/blobs")).expect("a folder").count();
    assert_eq!(blobs, 0, "sled never syncs blobs");
    assert_eq!(frames(&open(dir.path()), 7), large);
}

#[test]
fn every_record_is_read_with_the_dictionary_that_it_was_compressed_with() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = |prime: u32| -> Vec<u8> {
        (0..400_u32).flat_map(|word| format!("word-{}-", word * prime % 1009).into_bytes()).collect()
    };
    let (first, second) = (words(7919), words(104_729));
    let body = |number: usize| first[100..1500 + number].to_vec();
    // The first store has no dictionary, the next ones have one and two.
    let all = [vec![], vec![first.clone()], vec![first.clone(), second.clone()]];
    for (number, dictionaries) in (1..).zip(&all) {
        let options = StoreOptions { dictionaries: dictionaries.clone(), ..options(dir.path()) };
        let mut store = try_open(options, 1).expect("the store opens");
        append_one(&mut store, number, 1, body(number));
        close(store);
    }
    let reopened = try_open(StoreOptions { dictionaries: all[2].clone(), ..options(dir.path()) }, 1).expect("it opens");
    let blocks = |store: &Store, number: usize| load_history(&*store.reader, number, 0).expect("a user").blocks;
    for number in 1..=3 {
        assert_eq!(blocks(&reopened, number), [join(&[body(number)])]);
    }
    drop(reopened);
    let without_first =
        try_open(StoreOptions { dictionaries: vec![second], ..options(dir.path()) }, 1).expect("it opens");
    assert_eq!(blocks(&without_first, 1), [join(&[body(1)])]);
    let Err(error) = without_first.reader.load_history(&user(2), 0, &mut Loaded::default()) else {
        panic!("its dictionary is gone")
    };
    assert!(error.to_string().contains("dictionary"), "{error}");
    assert_eq!(frames(&without_first, 2), [body(2)], "a state needs no dictionary");
}

/// Compares the store with a map over random groups, refusals, checkpoints, clean and unclean restarts.
#[test]
fn the_store_holds_what_a_map_holds() {
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    let mut model: HashMap<usize, Vec<Vec<u8>>> = HashMap::new();
    let mut store = open(dir.path());
    for _ in 0..300 {
        match random.random_range(0..100) {
            0..80 => {
                let mut group = Vec::new();
                let mut expected = Vec::new();
                for _ in 0..random.random_range(1..40) {
                    let number = random.random_range(0..60);
                    let all = model.entry(number).or_default();
                    let next = all.len() as u64 + 1;
                    let sequence = if random.random_bool(0.1) { random.random_range(0..next + 3) } else { next };
                    let length = if random.random_bool(0.02) { 20_000 } else { random.random_range(0..400) };
                    let mut body = vec![0; length];
                    random.fill(&mut body[..]);
                    group.push(record(number, sequence, body.clone()));
                    expected.push(if sequence == next { Ok(()) } else { Err(OutOfSequence { expected: next }) });
                    if sequence == next {
                        all.push(body);
                    }
                }
                assert_eq!(append_group(&mut store, &group), expected);
            }
            80..90 => store.closer.checkpoint().expect("a checkpoint"),
            90..95 => {
                close(store);
                store = open(dir.path());
            }
            _ => {
                drop(store);
                store = open(dir.path());
            }
        }
        let number = random.random_range(0..60);
        assert_eq!(frames(&store, number), model.get(&number).cloned().unwrap_or_default());
    }
    store.closer.checkpoint().expect("a checkpoint");
    for (number, all) in &model {
        assert_eq!(&frames(&store, *number), all);
        let history = load_history(&*store.reader, *number, 0).expect("a user");
        let read: Vec<_> = history.blocks.iter().flat_map(|block| split(block).expect("frames")).collect();
        assert_eq!(&read, all, "the history has every frame once");
    }
}

#[test]
fn how_much_is_in_no_checkpoint_is_known_over_restarts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    assert_eq!(store.reader.unfolded_bytes(), 0);
    for sequence in 1..=100 {
        store.journal.append(&[record(1, sequence, vec![7; 10_000])]).expect("taken");
    }
    let unfolded = store.reader.unfolded_bytes();
    assert!((1_000_000..1_100_000).contains(&unfolded), "{unfolded}");
    drop(store);
    let store = open(dir.path());
    let after_a_crash = store.reader.unfolded_bytes();
    assert!((1_000_000..1_500_000).contains(&after_a_crash), "about as much, counted by segments: {after_a_crash}");
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(store.reader.unfolded_bytes(), 0);
    close(store);
    assert_eq!(open(dir.path()).reader.unfolded_bytes(), 0);
}

/// Takes a while for each user.
fn take_a_while(_: &[Record]) -> Result<(), StoreError> {
    std::thread::sleep(Duration::from_micros(500));
    Ok(())
}

#[test]
fn a_stop_without_time_leaves_users_to_the_next_start() {
    const USERS: usize = 400;
    let dir = tempfile::tempdir().expect("a directory");
    // No time, time for some users, and time for all.
    for (sequence, millis) in (1..).zip([0, 60, 120, 0, 60_000]) {
        let options = StoreOptions { checkpoint_stop: Duration::from_millis(millis), ..options(dir.path()) };
        let mut store =
            store::open(options, &master(), Arc::new(KeepAllAfter(take_a_while)), SeededEntropy::new(sequence))
                .expect("the store opens after any stop");
        // A user who is new in each run: no slot is given out twice.
        let numbers = (0..USERS).chain([USERS + sequence as usize]);
        let first = |number: usize| if number < USERS { sequence } else { 1 };
        let group: Vec<_> = numbers.map(|number| record(number, first(number), vec![sequence as u8; 50])).collect();
        assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
        store.closer.close().expect("what is left is no error");
        let unfolded = store.reader.unfolded_bytes();
        assert!((millis > 0 || unfolded > 0) && (millis < 60_000 || unfolded == 0), "{millis} ms: {unfolded} bytes");
        drop_parts!(store);
        let store = open(dir.path());
        for number in 0..USERS {
            let expected: Vec<_> = (1..=sequence).map(|sequence| vec![sequence as u8; 50]).collect();
            assert_eq!(frames(&store, number), expected, "{millis} ms");
            check_history(&store, number, "after a stop");
        }
        for past in 1..=sequence {
            assert_eq!(frames(&store, USERS + past as usize), [vec![past as u8; 50]]);
        }
    }
}
