//! The body of an event stream: the events of a follower, until the stream expires.

use std::io;
use std::time::Duration;

use actors::follower::Follower;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{Stream, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::format::StreamFormat;
use crate::http::request::expiry::{Expired, Expiry};

/// How often a stream without events checks whether the access table has changed.
const TICK: Duration = Duration::from_secs(1);

/// The body of one event stream.
pub(super) struct EventStream {
    follower: Follower,
    format: StreamFormat,
    heartbeat: Duration,
    /// When the next heartbeat is due.
    due: Instant,
    expired: BoxFuture<'static, Expired>,
    _expiry: Expiry,
    tick: tokio::time::Interval,
}

/// Why a stream was woken.
enum Woken {
    /// The stream has expired, or the access table has changed.
    Expired,
    /// A heartbeat is due.
    HeartbeatDue,
    /// Events can be read.
    Events,
}

impl EventStream {
    /// Returns the stream of the events of `follower`. It sends something at least every `heartbeat`, and ends at
    /// `expiry`.
    pub(super) fn new(follower: Follower, format: StreamFormat, heartbeat: Duration, expiry: Expiry) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self {
            follower,
            format,
            heartbeat,
            // Due at once, so that the client gets a cursor before the first event.
            due: now,
            expired: expiry.expired().boxed(),
            _expiry: expiry,
            tick,
        }
    }

    /// Returns the pieces of the body. A piece is made when the connection has taken the one before.
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(self, |mut this| async move { this.next().await.map(|piece| (Ok(piece), this)) })
    }

    /// Waits for the next piece; `None` when the stream ends. A client that connects again learns why.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = match self.wait().await {
                Woken::Expired => return None,
                Woken::HeartbeatDue => self.format.heartbeat(&self.follower.cursor()),
                Woken::Events => match self.follower.read().await {
                    Ok(batch) if batch.events.is_empty() => continue,
                    Ok(batch) => self.format.events(&batch),
                    Err(ended) => {
                        let cause: &dyn std::error::Error = &ended;
                        tracing::info!(reason = cause, "an event stream ends");
                        return None;
                    }
                },
            };
            self.due = Instant::now() + self.heartbeat;
            return Some(piece);
        }
    }

    /// Waits for something to send, or for the end.
    async fn wait(&mut self) -> Woken {
        loop {
            // Checked here because the timer may round up, and the first heartbeat must come before any event.
            if self.due <= Instant::now() {
                return Woken::HeartbeatDue;
            }
            tokio::select! {
                biased;
                _ = &mut self.expired => return Woken::Expired,
                () = sleep_until(self.due) => {}
                () = self.follower.ready() => return Woken::Events,
                _ = self.tick.tick() => if !self.follower.is_current() { return Woken::Expired },
            }
        }
    }
}
