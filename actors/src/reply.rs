//! The way back of an event's result.

use tokio::sync::{mpsc, oneshot};

/// What became of a feed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Durable; it made this revision.
    Applied {
        /// The revision that it made.
        revision: u64,
    },
    /// Durable or already superseded; the profile did not change.
    Unchanged {
        /// The revision that it left as it was; 0 where there is none yet.
        revision: u64,
    },
    /// A stamp still holds this very event.
    Duplicate {
        /// The revision at which it does.
        revision: u64,
    },
    /// Not acknowledged: not taken, or after a failed commit of unknown fate.
    Busy,
}

/// The result of one of a stream's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventResult {
    /// The event's place in its stream.
    pub index: u64,
    /// What became of it.
    pub status: Status,
}

/// A token that is exchanged for exactly one [`EventResult`]. One that is dropped answers busy, so that no sender
/// waits for an answer that nobody can give any more.
#[derive(Debug)]
pub struct Reply {
    index: u64,
    to: Option<To>,
}

#[derive(Debug)]
enum To {
    // Unbounded, but each message was paid for with a place in a mailbox or a commit permit.
    Stream(mpsc::UnboundedSender<EventResult>),
    One(oneshot::Sender<EventResult>),
}

impl Reply {
    /// A token of a stream's event: thousands share one channel.
    pub fn stream(index: u64, sender: mpsc::UnboundedSender<EventResult>) -> Self {
        Self { index, to: Some(To::Stream(sender)) }
    }

    /// The token of a single event, and where its result arrives.
    pub fn one() -> (Self, oneshot::Receiver<EventResult>) {
        let (sender, receiver) = oneshot::channel();
        (Self { index: 0, to: Some(To::One(sender)) }, receiver)
    }

    pub(crate) fn answer(mut self, status: Status) {
        self.send(status);
    }

    fn send(&mut self, status: Status) {
        let result = EventResult { index: self.index, status };
        // A sender that went away misses its result, which it may find out by sending the event again.
        match self.to.take() {
            Some(To::Stream(sender)) => drop(sender.send(result)),
            Some(To::One(sender)) => drop(sender.send(result)),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Status::Busy);
    }
}
