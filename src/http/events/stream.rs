//! The body of an event stream: what the follower gives, until the time is over.

use std::io;
use std::time::Duration;

use actors::follower::Follower;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{Stream, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::format::Format;
use crate::http::request::expiry::{Expired, Expiry};

/// How often the access table is looked at while nothing happens.
const TICK: Duration = Duration::from_secs(1);

/// A stream that is being written.
pub(super) struct EventStream {
    follower: Follower,
    format: Format,
    heartbeat: Duration,
    /// When the client must hear something.
    due: Instant,
    expired: BoxFuture<'static, Expired>,
    _expiry: Expiry,
    tick: tokio::time::Interval,
}

/// What a wait came to.
enum Woken {
    Expired,
    Silence,
    Events,
}

impl EventStream {
    /// Returns the stream of what `follower` reads. It is never silent for longer than `heartbeat`, and ends with `expiry`.
    pub(super) fn new(follower: Follower, format: Format, heartbeat: Duration, expiry: Expiry) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self {
            follower,
            format,
            heartbeat,
            // At once: the client learns where it stands before anything happens.
            due: now,
            expired: expiry.expired().boxed(),
            _expiry: expiry,
            tick,
        }
    }

    /// The pieces of the body. The next one is worked out when the client has taken the one before.
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(self, |mut this| async move { this.next().await.map(|piece| (Ok(piece), this)) })
    }

    /// The next piece; `None` when the time is over. A client that comes again is told why.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = match self.wait().await {
                Woken::Expired => return None,
                Woken::Silence => self.format.heartbeat(&self.follower.cursor()),
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

    async fn wait(&mut self) -> Woken {
        loop {
            // Not left to the timer, which may round up: the first word comes before any event.
            if self.due <= Instant::now() {
                return Woken::Silence;
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
