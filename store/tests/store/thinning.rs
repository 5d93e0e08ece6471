//! Histories that are thinned while they are read, over restarts and kills: what stays is what was recorded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use domain::record::pack;

use crate::kit::clock::DAY;
use crate::kit::close;
use crate::kit::recorded::{Recorded, USERS, rewind};

#[test]
fn what_stays_is_what_was_recorded_over_checkpoints_restarts_and_crashes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recorded = Recorded::new();
    let mut store = recorded.open(dir.path());
    let mut dropped = 0;
    for round in 0..90_i64 {
        for _ in 0..3 {
            recorded.append(&mut store);
            recorded.clock.advance(DAY / 3);
        }
        if round % 3 == 0 {
            store.closer.checkpoint().expect("a checkpoint");
        }
        if round % 5 == 0 {
            store.closer.thin_histories().expect("thinned");
        }
        if round % 12 == 0 {
            dropped = recorded.check(&store);
        }
        match round % 20 {
            7 => {
                // As in a crash.
                drop(store);
                store = recorded.open(dir.path());
            }
            15 => {
                close(store);
                store = recorded.open(dir.path());
            }
            _ => {}
        }
    }
    assert!(dropped > 100, "{dropped}");
    // Nothing of a year and more ago is left but the newest snapshot and the head.
    recorded.clock.advance(400 * DAY);
    store.closer.checkpoint().expect("a checkpoint");
    store.closer.thin_histories().expect("thinned");
    let revisions = recorded.revisions[0].len();
    assert_eq!(recorded.check(&store), USERS * (revisions - 1));
    // The next revision continues what is left.
    recorded.append(&mut store);
    store.closer.checkpoint().expect("a checkpoint");
    recorded.check(&store);
}

#[test]
fn a_history_can_be_read_while_it_is_thinned() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recorded = Recorded::new();
    let mut store = recorded.open(dir.path());
    for _ in 0..60 {
        for _ in 0..4 {
            recorded.append(&mut store);
            recorded.clock.advance(DAY / 4);
        }
    }
    store.closer.checkpoint().expect("a checkpoint");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                store.closer.thin_histories().expect("thinned");
                recorded.clock.advance(3 * DAY);
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut revision = 1;
        while !done.load(Ordering::Relaxed) {
            let newest = recorded.revisions[1].len() as u64;
            revision = revision % newest + 1;
            if let Some(found) = rewind(&store, 1, revision) {
                assert!(pack(&found) == pack(&recorded.revisions[1][&revision]), "revision {revision}");
            }
        }
    });
    assert!(recorded.check(&store) > 0);
}
