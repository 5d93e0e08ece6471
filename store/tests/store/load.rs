//! A load holds few frames of a user in memory at a time, however many there are.

use std::sync::Arc;

use domain::port::journal::Record;
use domain::port::store::{LoadVisitor, LoadedUser, StoreError};
use store::StoreOptions;

use crate::kit::faulty_disk::FaultyDisk;
use crate::kit::{BLOCK_FRAMES, append_one, frames, open, options, try_open, user};

/// Records the number of disk reads at each call.
struct ReadCounter {
    disk: FaultyDisk,
    at_checkpoint: usize,
    /// With the length of the frame.
    at_frames: Vec<(usize, usize)>,
    /// Number of bases that were visited.
    bases: usize,
    /// Number of history blocks that were visited.
    blocks: usize,
    wanted: usize,
}

impl LoadVisitor for ReadCounter {
    fn checkpoint(&mut self, _: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.at_checkpoint = self.disk.reads();
        self.at_frames.clear();
        Ok(())
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        self.bases += 1;
        Ok(false)
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        self.blocks += 1;
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.wanted > 0
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.at_frames.push((self.disk.reads(), record.body.len()));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.at_frames.len() == self.wanted || self.blocks == self.wanted
    }
}

/// Loads the user of `count` frames of `bytes` each, after a crash.
fn count_reads(count: u64, bytes: usize, wanted: usize) -> ReadCounter {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = FaultyDisk::default();
    let open = || {
        let options = StoreOptions { disk: Arc::new(disk.clone()), ..options(directory.path()) };
        try_open(options, 1).expect("the store opens")
    };
    let mut store = open();
    for sequence in 1..=count {
        let body = vec![sequence as u8; bytes];
        append_one(&mut store, 1, sequence, body);
    }
    drop(store);
    let store = open();
    let mut counter =
        ReadCounter { disk: disk.clone(), at_checkpoint: 0, at_frames: Vec::new(), bases: 0, blocks: 0, wanted };
    let found = store.reader.load(&user(1), &mut counter).expect("reads");
    assert!(matches!(found, Some(LoadedUser::Living { sequence, .. }) if sequence == count));
    let expected: Vec<_> = (1..=count).map(|sequence| vec![sequence as u8; bytes]).collect();
    assert!(frames(&store, 1) == expected, "all frames, in order");
    counter
}

#[test]
fn frames_of_a_long_chain_are_read_when_their_turn_comes() {
    let counter = count_reads(20, 600_000, usize::MAX);
    assert_eq!(counter.at_frames.len(), 20);
    let mut before = counter.at_checkpoint;
    for (reads, _) in counter.at_frames {
        assert!(reads > before, "each frame is read again");
        before = reads;
    }
}

#[test]
fn frames_of_a_short_chain_are_read_once() {
    let counter = count_reads(20, 1000, usize::MAX);
    assert_eq!(counter.at_frames, vec![(counter.at_checkpoint, 1000); 20]);
}

#[test]
fn a_visitor_that_has_enough_blocks_gets_no_newer_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(directory.path());
    for sequence in 1..=17 * BLOCK_FRAMES as u64 {
        append_one(&mut store, 1, sequence, vec![1]);
    }
    store.closer.checkpoint().expect("a checkpoint");
    for wanted in [0, 2, 17, 30] {
        let (disk, at_frames) = (FaultyDisk::default(), Vec::new());
        let mut counter = ReadCounter { disk, at_checkpoint: 0, at_frames, bases: 0, blocks: 0, wanted };
        store.reader.load_history(&user(1), 0, &mut counter).expect("reads");
        assert_eq!(counter.blocks, wanted.min(17));
        // Halving 17 places takes five looks at most.
        assert!(counter.bases <= 5, "{} bases", counter.bases);
    }
}

#[test]
fn a_visitor_that_has_enough_gets_no_more() {
    assert_eq!(count_reads(20, 1000, 7).at_frames.len(), 7);
}
