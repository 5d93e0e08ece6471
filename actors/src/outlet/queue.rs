//! The bounded queue of one client. Its subscriptions, one for each user that it follows, share the queue.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use domain::id::UserId;
use parking_lot::Mutex;

use super::{FrameKind, OutletMessage};

/// A message to one subscription.
#[derive(Debug, Clone)]
pub struct OutletFrame {
    /// The number of the subscription.
    pub subscription: u64,
    /// The user that the subscription follows.
    pub user: UserId,
    /// Whether the frame answers a cursor that could not be continued.
    pub reset: bool,
    /// The message, shared by all subscribers of the class.
    pub message: Arc<OutletMessage>,
}

/// The end of the actors. It never waits.
///
/// This is not a plain channel because an actor must be able to take frames back. When a view shrinks, nothing that was
/// withdrawn may be sent any more. When the queue is full, one patch or the whole document replaces several frames.
#[derive(Debug, Clone)]
pub struct OutletSender(Arc<SharedQueue>);

/// The end of the client's connection.
#[derive(Debug)]
pub struct OutletReceiver(Arc<SharedQueue>);

#[derive(Debug)]
struct SharedQueue {
    queue: Mutex<Queue>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<OutletFrame>,
    subscriptions: HashSet<u64>,
    closed: bool,
    /// The waker of a receiver that waits.
    waker: Option<Waker>,
}

/// The result of adding a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Queued,
    /// The queue is full. The frame was not taken, and must be merged with those that wait.
    Full,
    /// The subscription, or the whole queue, is closed.
    Closed,
}

/// Makes a queue for `capacity` frames. A full queue still takes one frame for each subscription, by replacing or merging
/// those that wait.
pub fn channel(capacity: usize) -> (OutletSender, OutletReceiver) {
    let shared = Arc::new(SharedQueue { queue: Mutex::default(), capacity });
    (OutletSender(Arc::clone(&shared)), OutletReceiver(shared))
}

impl OutletSender {
    /// Opens a subscription with its first frame.
    pub(crate) fn open(&self, frame: OutletFrame) -> Push {
        self.0.queue.lock().subscriptions.insert(frame.subscription);
        self.replace(frame)
    }

    /// Adds a frame at the end.
    pub(crate) fn push(&self, frame: OutletFrame) -> Push {
        self.change(frame.subscription, |queue| {
            if queue.frames.len() >= self.0.capacity {
                return Push::Full;
            }
            queue.frames.push_back(frame);
            Push::Queued
        })
    }

    /// Removes the waiting frames of the frame's subscription and adds the frame at the end, even to a full queue.
    pub(crate) fn replace(&self, mut frame: OutletFrame) -> Push {
        self.change(frame.subscription, |queue| {
            queue.remove_frames(frame.subscription, |waiting| frame.reset |= waiting.reset);
            queue.frames.push_back(frame);
            Push::Queued
        })
    }

    /// Replaces the waiting frames of the patch's subscription by one, even in a full queue: a patch over all of them, or
    /// `profile`, the document at the patch's revision, if that is shorter.
    ///
    /// The frame takes the place of the first one, so that a busy user has its turn at a slow client. Completeness
    /// messages are dropped, as the patch has the percentage.
    pub(crate) fn merge(&self, mut patch: OutletFrame, profile: &Arc<OutletMessage>) -> Push {
        self.change(patch.subscription, |queue| {
            let mut waiting = Vec::new();
            let place = queue.remove_frames(patch.subscription, |frame| {
                patch.reset |= frame.reset;
                if frame.message.kind != FrameKind::Completeness {
                    waiting.push(frame.message);
                }
            });
            patch.message = OutletMessage::merge(&patch.user, &waiting, &patch.message, profile);
            queue.frames.insert(place, patch);
            Push::Queued
        })
    }

    /// Closes one subscription. Its waiting frames are dropped, and the receiver gets no further frame of it. Returns whether
    /// a frame with `reset` was dropped.
    pub(crate) fn close(&self, subscription: u64) -> bool {
        let mut queue = self.0.queue.lock();
        queue.subscriptions.remove(&subscription);
        let mut owes_reset = false;
        queue.remove_frames(subscription, |frame| owes_reset |= frame.reset);
        owes_reset
    }

    /// Returns whether a subscription is open.
    pub(crate) fn is_open(&self, subscription: u64) -> bool {
        self.0.queue.lock().is_open(subscription)
    }

    /// Returns whether both belong to the same queue.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn change(&self, subscription: u64, change: impl FnOnce(&mut Queue) -> Push) -> Push {
        let mut queue = self.0.queue.lock();
        if !queue.is_open(subscription) {
            return Push::Closed;
        }
        let outcome = change(&mut queue);
        let waker = if outcome == Push::Queued { queue.waker.take() } else { None };
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        outcome
    }
}

impl Queue {
    fn is_open(&self, subscription: u64) -> bool {
        !self.closed && self.subscriptions.contains(&subscription)
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Removes the frames of a subscription, the oldest first. Returns the place of the first, or else the end.
    fn remove_frames(&mut self, subscription: u64, mut each: impl FnMut(OutletFrame)) -> usize {
        let is_one = |frame: &OutletFrame| frame.subscription == subscription;
        let Some(place) = self.frames.iter().position(is_one) else { return self.frames.len() };
        for frame in self.frames.split_off(place) {
            if is_one(&frame) { each(frame) } else { self.frames.push_back(frame) }
        }
        place
    }
}

impl OutletReceiver {
    /// Moves the next frames into `frames`: one, and more until they have `bytes` bytes. Pending until there is a frame.
    ///
    /// The frames must be sent: an actor cannot take them back any more.
    pub fn poll_frames(&mut self, context: &mut Context<'_>, frames: &mut Vec<OutletFrame>, bytes: usize) -> Poll<()> {
        let mut queue = self.0.queue.lock();
        if queue.frames.is_empty() {
            return queue.wait(context);
        }
        let mut taken = 0;
        while let Some(frame) = queue.frames.pop_front() {
            taken += frame.message.framed().len();
            frames.push(frame);
            if taken >= bytes {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Returns the next frame. Waits until there is one.
    pub async fn recv(&mut self) -> OutletFrame {
        std::future::poll_fn(|context| {
            let mut queue = self.0.queue.lock();
            match queue.frames.pop_front() {
                Some(frame) => Poll::Ready(frame),
                None => queue.wait(context),
            }
        })
        .await
    }

    /// Returns the next frame, if one waits.
    pub fn try_recv(&mut self) -> Option<OutletFrame> {
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
    use super::*;

    fn frame(subscription: u64, revision: u64) -> OutletFrame {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let mut message = OutletMessage::gone(&user);
        message.revision = revision;
        OutletFrame { subscription, user, reset: false, message: Arc::new(message) }
    }

    fn drain(receiver: &mut OutletReceiver) -> Vec<(u64, u64)> {
        let frames = std::iter::from_fn(|| receiver.try_recv());
        frames.map(|frame| (frame.subscription, frame.message.revision)).collect()
    }

    #[test]
    fn a_full_queue_takes_no_frame_but_a_replacement() {
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
    fn a_merged_frame_keeps_its_turn_and_its_reset() {
        let (sender, mut receiver) = channel(3);
        sender.open(OutletFrame { reset: true, ..frame(1, 1) });
        sender.open(frame(2, 1));
        sender.push(frame(1, 2));
        let whole = frame(1, 3);
        assert_eq!(sender.merge(frame(1, 3), &whole.message), Push::Queued);
        let first = receiver.try_recv().expect("a frame");
        assert_eq!((first.subscription, first.reset), (1, true));
        assert!(Arc::ptr_eq(&first.message, &whole.message), "only patches can be merged");
        assert_eq!(drain(&mut receiver), [(2, 1)]);
    }

    #[test]
    fn a_closed_subscription_gives_nothing_and_takes_nothing() {
        let (sender, mut receiver) = channel(8);
        sender.open(OutletFrame { reset: true, ..frame(1, 1) });
        assert!(sender.close(1), "the reset is still owed");
        assert!(!sender.close(1));
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
            assert_eq!(got.message.revision, 7);
        });
    }
}
