//! Appends, loads and checkpoints at the same time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::kit::{options, record, seed, try_load, try_open};

const USERS: usize = 40;
const ROUNDS: usize = 1500;

#[test]
fn a_load_beside_appends_and_checkpoints_sees_all_that_was_acknowledged_and_no_gap() {
    let seed = seed();
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options(dir.path());
    options.segment_bytes = 16 << 10;
    options.checkpoint_interval = Duration::from_millis(2);
    options.known_users = 0;
    let store = try_open(options, seed).expect("the store opens");
    let acknowledged: Vec<AtomicU64> = (0..USERS).map(|_| AtomicU64::new(0)).collect();
    let done = AtomicBool::new(false);
    let (mut journal, reader) = (store.journal, store.reader);

    thread::scope(|scope| {
        let loaders: Vec<_> = (1..3)
            .map(|loader| {
                let (acknowledged, done, reader) = (&acknowledged, &done, reader.clone());
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(seed + loader);
                    let mut loads = 0;
                    while !done.load(Ordering::Acquire) {
                        let number = random.random_range(0..USERS);
                        let before = acknowledged[number].load(Ordering::Acquire);
                        let Some(loaded) = try_load(&*reader, number).expect("reads") else {
                            assert_eq!(before, 0, "user {number} is not there");
                            continue;
                        };
                        assert!(loaded.sequence >= before, "user {number}: {} of {before}", loaded.sequence);
                        let expected = (1..=loaded.sequence).map(|sequence| sequence.to_le_bytes().to_vec());
                        assert!(loaded.all().into_iter().eq(expected), "user {number} has a gap");
                        loads += 1;
                    }
                    loads
                })
            })
            .collect();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..ROUNDS {
            let first = random.random_range(0..USERS);
            let numbers = (first..first + random.random_range(1..10)).map(|number| number % USERS);
            let sequenced = |number: usize| (number, acknowledged[number].load(Ordering::Relaxed) + 1);
            let group: Vec<_> = numbers.clone().map(sequenced).collect();
            let body = |(number, sequence): (usize, u64)| record(number, sequence, sequence.to_le_bytes().to_vec());
            let results = journal.append(&group.iter().copied().map(body).collect::<Vec<_>>()).expect("taken");
            for (result, (number, sequence)) in results.into_iter().zip(group) {
                result.expect("in sequence");
                acknowledged[number].store(sequence, Ordering::Release);
            }
        }
        done.store(true, Ordering::Release);
        for loader in loaders {
            assert!(loader.join().expect("no panic") > 0);
        }
    });
    store.closer.close().expect("closes");
}
