//! Checkpoints that take states from memory write what checkpoints that replay frames write.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::id::UserId;
use domain::port::journal::Record;
use domain::port::memory::{CommittedState, CommittedStates};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::Store;

use crate::kit::{KeepAllAfter, SeededEntropy, join, load_history, master, open, options, record, seed, user};

const USERS: usize = 12;

/// The states that memory is said to hold.
#[derive(Default)]
struct Memory(Mutex<HashMap<UserId, CommittedState>>);

impl Memory {
    /// Holds the state after the first `sequence` of a user's frames.
    fn hold(&self, number: usize, generation: u32, frames: &[Vec<u8>], sequence: usize) {
        let packed = join(&frames[..sequence]);
        let state = CommittedState { generation, sequence: sequence as u64, packed };
        self.0.lock().expect("no panic").insert(user(number), state);
    }

    fn forget(&self, number: usize) {
        self.0.lock().expect("no panic").remove(&user(number));
    }
}

impl CommittedStates for Memory {
    fn committed(&self, user: &UserId) -> Option<CommittedState> {
        self.0.lock().expect("no panic").get(user).cloned()
    }
}

fn open_with(dir: &Path, replayed: &Arc<AtomicUsize>, memory: &Arc<Memory>) -> Store {
    let replayed = replayed.clone();
    let count = move |frames: &[Record]| {
        replayed.fetch_add(frames.len(), Ordering::Relaxed);
        Ok(())
    };
    let store = store::open(options(dir), &master(), Arc::new(KeepAllAfter(count)), SeededEntropy::new(1))
        .expect("the store opens");
    store.closer.use_committed_states(memory.clone());
    store
}

/// Asserts that two stores hold the same of every user, from every revision on.
#[track_caller]
fn assert_same(one: &Store, other: &Store) {
    for number in 0..USERS {
        let Some(loaded) = load_history(&*one.reader, number, 0) else { continue };
        for since in 0..=loaded.sequence {
            let loaded = [one, other].map(|store| load_history(&*store.reader, number, since).expect("a user"));
            let parts = loaded.map(|of| (of.sequence, of.state, of.base, of.blocks, of.frames));
            assert!(parts[0] == parts[1], "user {number}, asked for {since}");
        }
    }
}

#[test]
fn states_from_memory_at_any_sequence_give_the_store_that_replays_give() {
    let mut random = StdRng::seed_from_u64(seed());
    let (dir, replayed_dir) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (fold, memory) = (Arc::new(AtomicUsize::default()), Arc::new(Memory::default()));
    let mut store = open_with(dir.path(), &fold, &memory);
    let mut replayed = open(replayed_dir.path());
    let mut all = vec![Vec::<Vec<u8>>::new(); USERS];
    let mut appended = 0;
    for round in 0..60 {
        for _ in 0..random.random_range(0..40) {
            let number = random.random_range(0..USERS);
            let mut body = vec![0; random.random_range(0..200)];
            random.fill(&mut body[..]);
            all[number].push(body.clone());
            appended += 1;
            let frame = record(number, all[number].len() as u64, body);
            for store in [&mut store, &mut replayed] {
                store.journal.append(std::slice::from_ref(&frame)).expect("taken")[0].expect("in sequence");
            }
        }
        for (number, frames) in all.iter().enumerate().filter(|(_, frames)| !frames.is_empty()) {
            // Memory is behind the journal, at its head, or has forgotten the user; or holds another generation's state.
            match random.random_range(0..10) {
                0 => memory.forget(number),
                1 => memory.hold(number, 2, frames, 0),
                2..5 => memory.hold(number, 1, frames, random.random_range(0..=frames.len())),
                _ => memory.hold(number, 1, frames, frames.len()),
            }
        }
        if random.random_bool(0.5) {
            store.closer.checkpoint().expect("a checkpoint");
            replayed.closer.checkpoint().expect("a checkpoint");
            assert_same(&store, &replayed);
        }
        if round % 20 == 19 {
            drop((store, replayed));
            (store, replayed) = (open_with(dir.path(), &fold, &memory), open(replayed_dir.path()));
        }
    }
    let counted = fold.load(Ordering::Relaxed);
    // How many depends on the seed: a user whom memory has forgotten is replayed from its last checkpoint on.
    assert!(counted > 0 && counted < appended, "{counted} of {appended} frames were replayed");
}

#[test]
fn nothing_is_replayed_if_memory_holds_every_head() {
    let dir = tempfile::tempdir().expect("a directory");
    let (fold, memory) = (Arc::new(AtomicUsize::default()), Arc::new(Memory::default()));
    let mut store = open_with(dir.path(), &fold, &memory);
    for sequence in 1..=6 {
        for number in 0..USERS {
            store.journal.append(&[record(number, sequence, vec![7])]).expect("taken")[0].expect("in sequence");
            memory.hold(number, 1, &vec![vec![7]; sequence as usize], sequence as usize);
        }
        store.closer.checkpoint().expect("a checkpoint");
    }
    assert_eq!(fold.load(Ordering::Relaxed), 0);
    // The last checkpoint of a stop takes them, too.
    store.journal.append(&[record(1, 7, vec![7])]).expect("taken")[0].expect("in sequence");
    memory.hold(1, 1, &vec![vec![7]; 7], 7);
    store.closer.close().expect("the last checkpoint");
    assert_eq!(fold.load(Ordering::Relaxed), 0);
}

#[test]
fn a_state_that_is_newer_than_the_frames_that_were_found_is_not_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let (fold, memory) = (Arc::new(AtomicUsize::default()), Arc::new(Memory::default()));
    let mut store = open_with(dir.path(), &fold, &memory);
    store.journal.append(&[record(1, 1, vec![7])]).expect("taken")[0].expect("in sequence");
    // The user got another frame after the checkpoint had looked, and memory knows already.
    memory.hold(1, 1, &vec![vec![7]; 2], 2);
    store.closer.checkpoint().expect("a checkpoint");
    let loaded = load_history(&*store.reader, 1, 0).expect("a user");
    assert_eq!((loaded.state, loaded.sequence), (Some(join(&[vec![7]])), 1));
}
