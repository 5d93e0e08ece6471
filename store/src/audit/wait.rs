//! Blocks a thread until an outcome arrives, for a bounded time.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an outcome, `longest` at most; `None` if it has not arrived then, after which its sender finds that nobody waits.
pub(super) fn receive<T>(
    mut receiver: oneshot::Receiver<T>,
    longest: Duration,
) -> Option<Result<T, oneshot::error::RecvError>> {
    let deadline = Instant::now() + longest;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(outcome) = pin!(&mut receiver).poll(&mut Context::from_waker(&waker)) {
            return Some(outcome);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return take_late(receiver).map(Ok);
        }
        thread::park_timeout(left);
    }
}

/// Receives a value asynchronously, as [`receive`] does.
pub(super) async fn receive_async<T>(
    mut receiver: oneshot::Receiver<T>,
    longest: Duration,
) -> Option<Result<T, oneshot::error::RecvError>> {
    match tokio::time::timeout(longest, &mut receiver).await {
        Ok(outcome) => Some(outcome),
        Err(_) => take_late(receiver).map(Ok),
    }
}

/// Refuses a value from now on, and returns the one that was sent before. Sender and receiver then agree on whether the value
/// has arrived.
fn take_late<T>(mut receiver: oneshot::Receiver<T>) -> Option<T> {
    receiver.close();
    receiver.try_recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_received_or_its_sender_learns_that_nobody_waits() {
        let (sender, receiver) = oneshot::channel();
        let thread = thread::spawn(move || sender.send(5));
        assert_eq!(receive(receiver, Duration::from_secs(60)), Some(Ok(5)));
        assert_eq!(thread.join().expect("a sender"), Ok(()));
        let (sender, receiver) = oneshot::channel();
        assert_eq!(receive(receiver, Duration::ZERO), None);
        assert_eq!(sender.send(5), Err(5));
        let (sender, receiver) = oneshot::channel::<u8>();
        drop(sender);
        assert!(receive(receiver, Duration::from_secs(60)).is_some_and(|outcome| outcome.is_err()));
        let (sender, receiver) = oneshot::channel();
        sender.send(7).expect("a receiver");
        assert_eq!(take_late(receiver), Some(7), "sent just in time");
    }
}
