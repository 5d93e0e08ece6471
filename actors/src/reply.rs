//! The results of events, and how they are sent back.

use tokio::sync::{mpsc, oneshot};

/// The result of a feed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The event is durable and made a revision.
    Applied {
        /// The revision that the event made.
        revision: u64,
    },
    /// The event is durable or already superseded. The profile did not change.
    Unchanged {
        /// The profile's revision; 0 if there is none yet.
        revision: u64,
    },
    /// The same event was applied before.
    Duplicate {
        /// The profile's revision.
        revision: u64,
    },
    /// The user was erased, and the event does not begin a new generation, or is not later than the erasure. Nothing of it is
    /// kept.
    Erased,
    /// The event is not acknowledged: it was not taken, or the fate of its commit is unknown.
    Busy,
}

/// The result of one event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventResult {
    /// The event's index in its stream.
    pub index: u64,
    /// The event's result.
    pub status: Status,
}

/// Sends exactly one [`EventResult`]. A reply that is dropped sends [`Status::Busy`], so that no sender waits for a result
/// that never comes.
#[derive(Debug)]
pub struct Reply {
    index: u64,
    receiver: Option<ResultSender>,
}

#[derive(Debug)]
enum ResultSender {
    // Unbounded, but each result was paid for with a place in a mailbox or a commit permit.
    Stream(mpsc::UnboundedSender<EventResult>),
    One(oneshot::Sender<EventResult>),
}

impl Reply {
    /// Returns the reply of a stream's event. All events of the stream share the channel.
    pub fn stream(index: u64, sender: mpsc::UnboundedSender<EventResult>) -> Self {
        Self { index, receiver: Some(ResultSender::Stream(sender)) }
    }

    /// Returns the reply of a single event, and where its result arrives.
    pub fn one() -> (Self, oneshot::Receiver<EventResult>) {
        let (sender, receiver) = oneshot::channel();
        (Self { index: 0, receiver: Some(ResultSender::One(sender)) }, receiver)
    }

    /// Sends the result.
    pub(crate) fn answer(mut self, status: Status) {
        self.send(status);
    }

    fn send(&mut self, status: Status) {
        let result = EventResult { index: self.index, status };
        // A sender that is gone may send the event again to learn its result.
        match self.receiver.take() {
            Some(ResultSender::Stream(sender)) => drop(sender.send(result)),
            Some(ResultSender::One(sender)) => drop(sender.send(result)),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Status::Busy);
    }
}
