//! A durable log: one thread writes and syncs, in one group, everything that has arrived since the group before.

use super::segments::Segments;
use anyhow::{Context, Result};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A handle on the log. Clones append to the same log.
#[derive(Clone)]
pub(super) struct DurableLog(Arc<Queue>);

/// What waits for the log's thread.
#[derive(Default)]
struct Queue {
    group: Mutex<Group>,
    /// Notified when the group is no longer empty.
    arrived: Condvar,
}

/// Bytes that are synced together, and who waits for them.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    waiting: Vec<Sender<()>>,
}

impl DurableLog {
    /// Creates the log in a directory and starts its thread.
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let segments = Segments::create(directory)?;
        let queue = Arc::new(Queue::default());
        let of_thread = queue.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || of_thread.write(segments)).context("could not start the thread of the log")?;
        Ok(Self(queue))
    }

    /// Appends the parts as one. The receiver gets a message when they are synced, and an error if that fails.
    pub(super) fn append(&self, parts: &[&[u8]]) -> Receiver<()> {
        let (sender, receiver) = channel();
        let mut group = self.0.lock();
        let was_empty = group.waiting.is_empty();
        parts.iter().for_each(|part| group.bytes.extend_from_slice(part));
        group.waiting.push(sender);
        drop(group);
        if was_empty {
            self.0.arrived.notify_one();
        }
        receiver
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one group after the other. Those who wait for a group that cannot be written get an error.
    fn write(&self, mut segments: Segments) {
        let mut group = Group::default();
        loop {
            let mut arrived = self.lock();
            while arrived.waiting.is_empty() {
                arrived = self.arrived.wait(arrived).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut *arrived, &mut group);
            drop(arrived);
            let written: io::Result<()> = segments.append(&group.bytes);
            group.bytes.clear();
            if written.is_ok() {
                for waiting in group.waiting.drain(..) {
                    // A request that was cut off does not wait any more.
                    let _ = waiting.send(());
                }
            }
            group.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn an_append_is_in_the_file_when_it_is_acknowledged() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = DurableLog::start(directory.path()).expect("started");
        let path = directory.path().join("0000000000.segment");
        let threads: Vec<_> = (0..4_u8)
            .map(|thread| {
                let (log, path) = (log.clone(), path.clone());
                std::thread::spawn(move || {
                    for number in 0..50_u8 {
                        let record = [b'r', thread, number, b'\n'];
                        log.append(&[&record[..1], &record[1..]]).blocking_recv().expect("synced");
                        let mut start = [0; 4 * 50 * 4];
                        let segment = std::fs::File::open(&path).expect("a segment");
                        segment.read_exact_at(&mut start, 0).expect("its start");
                        assert!(start.windows(4).any(|bytes| bytes == record), "{record:?}");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("ended"));
    }
}
