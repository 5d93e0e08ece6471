//! A load holds few of a user's frames at a time, however many there are.

use std::sync::Arc;

use domain::port::store::{Checkpointed, LoadVisitor, StoreError};
use store::StoreOptions;

use crate::kit::faulty_disk::FaultyDisk;
use crate::kit::{frames, options, record, try_open, user};

/// Notes how many reads of the disk there were whenever it gets something.
struct Observer {
    disk: FaultyDisk,
    at_checkpoint: usize,
    /// And the length of the frame.
    at_frames: Vec<(usize, usize)>,
    wanted: usize,
}

impl LoadVisitor for Observer {
    fn checkpoint(&mut self, _: Checkpointed) -> Result<(), StoreError> {
        self.at_checkpoint = self.disk.reads();
        self.at_frames.clear();
        Ok(())
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn frame(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.at_frames.push((self.disk.reads(), body.len()));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.at_frames.len() == self.wanted
    }
}

/// Loads the user of `count` frames of `bytes` each, after a crash.
fn observe(count: u64, bytes: usize, wanted: usize) -> Observer {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = FaultyDisk::default();
    let open = || {
        let options = StoreOptions { disk: Arc::new(disk.clone()), ..options(directory.path()) };
        try_open(options, 1).expect("the store opens")
    };
    let mut store = open();
    for sequence in 1..=count {
        let body = vec![sequence as u8; bytes];
        store.journal.append(&[record(1, sequence, body)]).expect("taken")[0].expect("in sequence");
    }
    drop(store);
    let store = open();
    let mut observer = Observer { disk: disk.clone(), at_checkpoint: 0, at_frames: Vec::new(), wanted };
    assert_eq!(store.reader.load(&user(1), &mut observer).expect("reads"), Some(count));
    let expected: Vec<_> = (1..=count).map(|sequence| vec![sequence as u8; bytes]).collect();
    assert!(frames(&store, 1) == expected, "all frames, in order");
    observer
}

#[test]
fn frames_of_a_long_chain_are_read_when_their_turn_comes() {
    let observer = observe(20, 600_000, usize::MAX);
    assert_eq!(observer.at_frames.len(), 20);
    let mut before = observer.at_checkpoint;
    for (reads, _) in observer.at_frames {
        assert!(reads > before, "no frame was held since the chain was followed");
        before = reads;
    }
}

#[test]
fn frames_of_a_short_chain_are_read_once() {
    let observer = observe(20, 1000, usize::MAX);
    assert_eq!(observer.at_frames, vec![(observer.at_checkpoint, 1000); 20]);
}

#[test]
fn a_visitor_that_has_enough_gets_no_more() {
    assert_eq!(observe(20, 1000, 7).at_frames.len(), 7);
}
