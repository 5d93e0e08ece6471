//! The thread that writes indexes, so that the writer of entries is not held up by them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::index_work::IndexWork;
use super::segment::Segment;

/// Time after which an index that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The segments whose index is to be brought up to date.
#[derive(Default)]
pub(super) struct IndexQueue {
    state: Mutex<IndexQueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct IndexQueueState {
    segments: Vec<Arc<Segment>>,
    is_closed: bool,
}

impl IndexQueue {
    /// Adds a segment, unless it waits already.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut state = self.state.lock();
        if !state.segments.iter().any(|waiting| Arc::ptr_eq(waiting, &segment)) {
            state.segments.push(segment);
            self.changed.notify_one();
        }
    }

    /// Waits for segments, `longest` at most if it is given; `None` once the queue is closed.
    fn next(&self, longest: Option<Duration>) -> Option<Vec<Arc<Segment>>> {
        let mut state = self.state.lock();
        while state.segments.is_empty() && !state.is_closed {
            match longest {
                Some(longest) if self.changed.wait_for(&mut state, longest).timed_out() => break,
                Some(_) => {}
                None => self.changed.wait(&mut state),
            }
        }
        (!state.is_closed).then(|| std::mem::take(&mut state.segments))
    }
}

/// The running thread.
pub(super) struct Indexer {
    queue: Arc<IndexQueue>,
    work: Arc<IndexWork>,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    /// Starts the thread.
    pub(super) fn start(work: IndexWork) -> io::Result<Self> {
        let (queue, work) = (Arc::new(IndexQueue::default()), Arc::new(work));
        let (thread_queue, thread_work) = (Arc::clone(&queue), Arc::clone(&work));
        let thread = thread::Builder::new().name("audit index".to_owned());
        let thread = thread.spawn(move || run(&thread_queue, &thread_work))?;
        Ok(Self { queue, work, thread: Some(thread) })
    }

    pub(super) fn queue(&self) -> &Arc<IndexQueue> {
        &self.queue
    }
}

impl Drop for Indexer {
    /// Ends the thread, which leaves a merge that has begun.
    fn drop(&mut self) {
        self.work.is_stopped.store(true, Ordering::Relaxed);
        self.queue.state.lock().is_closed = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn run(queue: &IndexQueue, work: &IndexWork) {
    let mut failed: Vec<Arc<Segment>> = Vec::new();
    while let Some(mut segments) = queue.next((!failed.is_empty()).then_some(RETRY)) {
        failed.retain(|failed| !segments.iter().any(|segment| Arc::ptr_eq(segment, failed)));
        segments.append(&mut failed);
        for segment in segments {
            let Err(error) = work.update(&segment) else { continue };
            if error.kind() != io::ErrorKind::WouldBlock {
                tracing::warn!("an index of the audit log was not written and is tried again: {error}");
            }
            failed.push(segment);
        }
    }
}
