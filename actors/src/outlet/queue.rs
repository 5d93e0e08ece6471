//! A subscriber's bounded queue. Several subscriptions (the users that one socket follows) share one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Frame;

/// The actors' end: never waits.
///
/// It is no plain channel because an actor must be able to take frames back: when a view shrinks, nothing withdrawn
/// may go out any more; and when the queue is full, the whole document takes the place of a subscription's patches.
#[derive(Debug, Clone)]
pub struct OutletSender(Arc<Shared>);

/// The socket's end.
#[derive(Debug)]
pub struct OutletReceiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Notify,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    subscriptions: HashSet<u64>,
    closed: bool,
}

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Queued,
    /// The queue is full: the frame was not taken, and a whole document must follow.
    Full,
    /// The subscription, or the whole queue, is closed.
    Closed,
}

/// Makes a queue for `capacity` frames. Beyond it there is room for one whole document a subscription.
pub fn channel(capacity: usize) -> (OutletSender, OutletReceiver) {
    let shared = Arc::new(Shared { queue: Mutex::default(), filled: Notify::new(), capacity });
    (OutletSender(Arc::clone(&shared)), OutletReceiver(shared))
}

impl OutletSender {
    /// Opens a subscription with its first frame.
    pub(crate) fn open(&self, frame: Frame) -> Push {
        self.0.queue.lock().subscriptions.insert(frame.subscription);
        self.replace(frame)
    }

    /// Puts a frame behind the others.
    pub(crate) fn push(&self, frame: Frame) -> Push {
        let mut queue = self.0.queue.lock();
        if !queue.takes(frame.subscription) {
            return Push::Closed;
        }
        if queue.frames.len() >= self.0.capacity {
            return Push::Full;
        }
        queue.frames.push_back(frame);
        drop(queue);
        self.0.filled.notify_one();
        Push::Queued
    }

    /// Takes back what waits of the frame's subscription and puts the frame in its stead, even into a full queue.
    pub(crate) fn replace(&self, frame: Frame) -> Push {
        let mut queue = self.0.queue.lock();
        if !queue.takes(frame.subscription) {
            return Push::Closed;
        }
        queue.frames.retain(|waiting| waiting.subscription != frame.subscription);
        queue.frames.push_back(frame);
        drop(queue);
        self.0.filled.notify_one();
        Push::Queued
    }

    /// Closes one subscription: what waits of it is dropped, and nothing of it comes out any more.
    pub(crate) fn close(&self, subscription: u64) {
        let mut queue = self.0.queue.lock();
        queue.subscriptions.remove(&subscription);
        queue.frames.retain(|waiting| waiting.subscription != subscription);
    }

    /// Whether a subscription still receives.
    pub(crate) fn is_open(&self, subscription: u64) -> bool {
        self.0.queue.lock().takes(subscription)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Queue {
    fn takes(&self, subscription: u64) -> bool {
        !self.closed && self.subscriptions.contains(&subscription)
    }
}

impl OutletReceiver {
    /// The next frame.
    pub async fn recv(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.try_recv() {
                return frame;
            }
            // A frame that comes in between has left its notice.
            self.0.filled.notified().await;
        }
    }

    /// The next frame, if one waits.
    pub fn try_recv(&mut self) -> Option<Frame> {
        self.0.queue.lock().frames.pop_front()
    }
}

impl Drop for OutletReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        *queue = Queue { closed: true, ..Queue::default() };
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::id::UserId;

    use super::super::FrameKind;
    use super::*;

    fn frame(subscription: u64, revision: u64) -> Frame {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        Frame { subscription, user, kind: FrameKind::Patch, revision, text: Bytes::new() }
    }

    fn drain(receiver: &mut OutletReceiver) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| receiver.try_recv()).map(|frame| (frame.subscription, frame.revision)).collect()
    }

    #[test]
    fn a_full_queue_takes_no_patch_but_a_replacement() {
        let (sender, mut receiver) = channel(2);
        assert_eq!(sender.open(frame(1, 1)), Push::Queued);
        assert_eq!(sender.open(frame(2, 1)), Push::Queued);
        assert_eq!(sender.push(frame(1, 2)), Push::Full);
        assert_eq!(sender.replace(frame(1, 2)), Push::Queued);
        assert_eq!(drain(&mut receiver), [(2, 1), (1, 2)]);
    }

    #[test]
    fn a_replacement_takes_back_all_that_waits_of_its_subscription() {
        let (sender, mut receiver) = channel(8);
        sender.open(frame(1, 1));
        sender.open(frame(2, 1));
        sender.push(frame(1, 2));
        sender.push(frame(2, 2));
        sender.replace(frame(1, 3));
        assert_eq!(drain(&mut receiver), [(2, 1), (2, 2), (1, 3)]);
    }

    #[test]
    fn a_closed_subscription_gives_nothing_and_takes_nothing() {
        let (sender, mut receiver) = channel(8);
        sender.open(frame(1, 1));
        sender.close(1);
        assert_eq!(sender.push(frame(1, 2)), Push::Closed);
        assert_eq!(sender.replace(frame(1, 2)), Push::Closed);
        assert_eq!(drain(&mut receiver), []);
        sender.open(frame(1, 3));
        drop(receiver);
        assert_eq!(sender.push(frame(1, 4)), Push::Closed);
    }

    #[test]
    fn a_waiting_receiver_wakes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (sender, mut receiver) = channel(8);
            let (got, ()) = tokio::join!(receiver.recv(), async { assert_eq!(sender.open(frame(1, 7)), Push::Queued) });
            assert_eq!(got.revision, 7);
        });
    }
}
