//! History: no revision after the requested one is missing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use store::Store;

use crate::kit::{BLOCK_FRAMES, Loaded, append_one, close, load_history, open, record, split};

/// Returns the frame that made `revision`: a body that names it.
fn body(revision: u64) -> Vec<u8> {
    [&revision.to_le_bytes()[..], &[7; 150]].concat()
}

/// Returns the revision that the first frame of a block names.
fn first_revision(block: &[u8]) -> u64 {
    let frames = split(block).expect("frames");
    u64::from_le_bytes(*frames[0].first_chunk().expect("a revision"))
}

fn append(store: &mut Store, number: usize, revisions: impl Iterator<Item = u64>) {
    for revision in revisions {
        append_one(store, number, revision, body(revision));
    }
}

/// Asserts that base, blocks and frames hold each revision once, with its own body.
#[track_caller]
fn check(history: &Loaded, since: u64) {
    let folded = (history.all().len() - history.frames.len()) as u64;
    let base = split(history.base.as_deref().unwrap_or_default()).expect("frames");
    assert!(base.len() as u64 <= since, "the base is not after {since}");
    let mut found: Vec<Vec<u8>> = base;
    for block in &history.blocks {
        assert_eq!(first_revision(block), found.len() as u64 + 1, "no block is missing, asked for {since}");
        found.extend(split(block).expect("frames"));
    }
    assert!(found.len() as u64 >= folded, "the blocks reach the state");
    // Blocks may be newer than the state, and than the frames.
    found.extend(history.frames.iter().skip(found.len() - folded as usize).cloned());
    let expected = (1..=found.len() as u64).map(body);
    assert!(found.len() as u64 >= history.sequence && found.iter().cloned().eq(expected), "asked for {since}");
}

#[track_caller]
fn check_all(store: &Store, number: usize, newest: u64) {
    for since in 0..newest + 3 {
        let history = load_history(&*store.reader, number, since).expect("a user");
        assert_eq!(history.sequence, newest);
        check(&history, since);
        // (No checkpoint adds blocks here meanwhile.)
        let older = history.blocks.iter().filter(|block| first_revision(block) + BLOCK_FRAMES as u64 - 1 <= since);
        assert!(older.count() <= 1, "blocks before {since} are not read");
    }
}

#[test]
fn history_after_any_revision_is_whole_over_checkpoints_and_restarts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let mut newest = 0;
    // Neighbours in sled: user 2 has history, and user 3 has none.
    append(&mut store, 2, 1..=9);
    for more in [3, 4, 1, 13, 0, 2] {
        append(&mut store, 1, newest + 1..=newest + more);
        newest += more;
        check_all(&store, 1, newest);
        store.closer.checkpoint().expect("a checkpoint");
        check_all(&store, 1, newest);
    }
    append(&mut store, 1, newest + 1..=newest + 2);
    newest += 2;
    drop(store);
    let store = open(dir.path());
    check_all(&store, 1, newest);
    close(store);
    let store = open(dir.path());
    check_all(&store, 1, newest);
    check_all(&store, 2, 9);
    assert!(load_history(&*store.reader, 3, 0).is_none());
}

#[test]
fn history_is_whole_while_checkpoints_run() {
    const REVISIONS: u64 = 1500;
    let dir = tempfile::tempdir().expect("a directory");
    let Store { mut journal, reader, closer, .. } = open(dir.path());
    let (done, read) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                closer.checkpoint().expect("a checkpoint");
            }
        });
        scope.spawn(|| {
            let mut since = 0;
            while !done.load(Ordering::Relaxed) {
                let Some(history) = load_history(&*reader, 1, since) else { continue };
                check(&history, since);
                since = (since + 37) % (history.sequence + 1);
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
        for revision in 1..=REVISIONS {
            let taken = journal.append(&[record(1, revision, body(revision))]);
            taken.expect("taken")[0].expect("in sequence");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(read.into_inner() > 0);
}
