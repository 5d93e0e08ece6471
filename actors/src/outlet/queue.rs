//! A subscriber's bounded queue. Several subscriptions (the users that one socket follows) share one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use domain::id::UserId;
use parking_lot::Mutex;

use super::{FrameKind, Message};

/// One message to one subscriber.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The subscription that it belongs to.
    pub subscription: u64,
    /// Whom it is about.
    pub user: UserId,
    /// Whether it answers a cursor that could not be continued.
    pub reset: bool,
    /// What everybody of the class gets.
    pub message: Arc<Message>,
}

/// The actors' end: never waits.
///
/// It is no plain channel because an actor must be able to take frames back: when a view shrinks, nothing withdrawn
/// may go out any more; and when the queue is full, one patch, or the whole document, takes the place of several.
#[derive(Debug, Clone)]
pub struct OutletSender(Arc<Shared>);

/// The socket's end.
#[derive(Debug)]
pub struct OutletReceiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    subscriptions: HashSet<u64>,
    closed: bool,
    /// The receiver that waits.
    waker: Option<Waker>,
}

/// What became of a pushed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Queued,
    /// The queue is full: the frame was not taken, and is to be merged with those that wait.
    Full,
    /// The subscription, or the whole queue, is closed.
    Closed,
}

/// Makes a queue for `capacity` frames. Beyond it there is room for one frame a subscription.
pub fn channel(capacity: usize) -> (OutletSender, OutletReceiver) {
    let shared = Arc::new(Shared { queue: Mutex::default(), capacity });
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
        self.change(frame.subscription, |queue| {
            if queue.frames.len() >= self.0.capacity {
                return Push::Full;
            }
            queue.frames.push_back(frame);
            Push::Queued
        })
    }

    /// Takes back what waits of the frame's subscription and puts the frame in its stead, even into a full queue.
    pub(crate) fn replace(&self, mut frame: Frame) -> Push {
        self.change(frame.subscription, |queue| {
            queue.take_back(frame.subscription, |waiting| frame.reset |= waiting.reset);
            queue.frames.push_back(frame);
            Push::Queued
        })
    }

    /// Takes back what waits of the patch's subscription and puts one frame in its stead, even into a full queue: a
    /// patch over all of it, or `profile`, the document at the patch's revision, if that is shorter.
    ///
    /// It takes the place of the first, so that a busy user of a slow client has its turn. What tells of a change of
    /// completeness goes: the patch has the percentage.
    pub(crate) fn merge(&self, mut patch: Frame, profile: &Arc<Message>) -> Push {
        self.change(patch.subscription, |queue| {
            let mut waiting = Vec::new();
            let place = queue.take_back(patch.subscription, |frame| {
                patch.reset |= frame.reset;
                if frame.message.kind != FrameKind::Completeness {
                    waiting.push(frame.message);
                }
            });
            patch.message = Message::merge(&patch.user, &waiting, &patch.message, profile);
            queue.frames.insert(place, patch);
            Push::Queued
        })
    }

    /// Closes one subscription: what waits of it is dropped, and nothing of it comes out any more. Says whether a
    /// frame that resets was dropped.
    pub(crate) fn close(&self, subscription: u64) -> bool {
        let mut queue = self.0.queue.lock();
        queue.subscriptions.remove(&subscription);
        let mut owes_reset = false;
        queue.take_back(subscription, |frame| owes_reset |= frame.reset);
        owes_reset
    }

    /// Whether a subscription still receives.
    pub(crate) fn is_open(&self, subscription: u64) -> bool {
        self.0.queue.lock().takes(subscription)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn change(&self, subscription: u64, change: impl FnOnce(&mut Queue) -> Push) -> Push {
        let mut queue = self.0.queue.lock();
        if !queue.takes(subscription) {
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
    fn takes(&self, subscription: u64) -> bool {
        !self.closed && self.subscriptions.contains(&subscription)
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Removes the frames of a subscription, oldest first; where the first of them stood, or else the end.
    fn take_back(&mut self, subscription: u64, mut each: impl FnMut(Frame)) -> usize {
        let is_one = |frame: &Frame| frame.subscription == subscription;
        let Some(place) = self.frames.iter().position(is_one) else { return self.frames.len() };
        for frame in self.frames.split_off(place) {
            if is_one(&frame) { each(frame) } else { self.frames.push_back(frame) }
        }
        place
    }
}

impl OutletReceiver {
    /// Moves the next frames into `frames`: one, and more until there are `bytes` of text. Pending until there is one.
    ///
    /// What was taken must go out: an actor cannot take it back any more.
    pub fn poll_frames(&mut self, context: &mut Context<'_>, frames: &mut Vec<Frame>, bytes: usize) -> Poll<()> {
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

    /// The next frame.
    pub async fn recv(&mut self) -> Frame {
        std::future::poll_fn(|context| {
            let mut queue = self.0.queue.lock();
            match queue.frames.pop_front() {
                Some(frame) => Poll::Ready(frame),
                None => queue.wait(context),
            }
        })
        .await
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
    use super::*;

    fn frame(subscription: u64, revision: u64) -> Frame {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let mut message = Message::gone(&user);
        message.revision = revision;
        Frame { subscription, user, reset: false, message: Arc::new(message) }
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
    fn what_is_merged_keeps_its_turn_and_says_that_it_resets() {
        let (sender, mut receiver) = channel(3);
        sender.open(Frame { reset: true, ..frame(1, 1) });
        sender.open(frame(2, 1));
        sender.push(frame(1, 2));
        let whole = frame(1, 3);
        assert_eq!(sender.merge(frame(1, 3), &whole.message), Push::Queued);
        let first = receiver.try_recv().expect("a frame");
        assert_eq!((first.subscription, first.reset), (1, true));
        assert!(Arc::ptr_eq(&first.message, &whole.message), "what is no patch cannot be appended to");
        assert_eq!(drain(&mut receiver), [(2, 1)]);
    }

    #[test]
    fn a_closed_subscription_gives_nothing_and_takes_nothing() {
        let (sender, mut receiver) = channel(8);
        sender.open(Frame { reset: true, ..frame(1, 1) });
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
