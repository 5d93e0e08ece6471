//! Sends the events of one feed.

use super::progress::FeedingProgress;
use crate::http::Upload;
use crate::population::Feeds;
use anyhow::Result;
use std::time::{Duration, Instant};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

/// Number of bytes to send at a time.
const BATCH: usize = 32 * 1_024;
/// Number of users after which a stream looks at the time and at the other streams.
const CHECK_EVERY: u64 = 64;
/// Maximum time without sending. A server ends a stream whose client is silent for too long.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);

/// The stream of a feed.
pub(super) struct Sender<'a> {
    number: usize,
    upload: Upload,
    progress: &'a FeedingProgress,
    /// Lines that are not sent yet, and their number.
    batch: Vec<u8>,
    lines: u64,
    last_sent: Instant,
}

impl<'a> Sender<'a> {
    /// Makes the stream with this number.
    pub(super) fn new(number: usize, upload: Upload, progress: &'a FeedingProgress) -> Self {
        Self { number, upload, progress, batch: Vec::with_capacity(BATCH * 2), lines: 0, last_sent: Instant::now() }
    }

    /// Sends the events of a feed until `end`, round by round, and the users of each round from the feed's own start.
    /// The connection has to stay open until the response has ended, so the write half is returned.
    pub(super) async fn send_all(mut self, feeds: &Feeds, name: &str, end: Instant) -> Result<OwnedWriteHalf> {
        let start = feeds.start(name);
        for position in 0..feeds.users() * feeds.rounds() {
            let user = (start + position) % feeds.users();
            let count = feeds.render(name, position / feeds.users(), user, &mut self.batch);
            if count > 0 {
                self.progress.add_user(user);
                self.lines += count;
            }
            if self.batch.len() >= BATCH {
                self.flush().await?;
            }
            if position % CHECK_EVERY == 0 {
                if Instant::now() > end {
                    break;
                }
                self.wait_for_others(position).await?;
            }
        }
        if !self.batch.is_empty() {
            self.flush().await?;
        }
        self.progress.end(self.number);
        self.upload.end().await
    }

    async fn wait_for_others(&mut self, position: u64) -> Result<()> {
        self.progress.move_to(self.number, position);
        while timeout(LONGEST_SILENCE, self.progress.wait_for_others(position)).await.is_err() {
            self.flush().await?;
        }
        if self.last_sent.elapsed() > LONGEST_SILENCE {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends the batch, or an empty line if there is none.
    async fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            self.batch.push(b'\n');
        }
        self.progress.sent.set(self.progress.sent.get() + self.lines);
        self.progress.bytes.set(self.progress.bytes.get() + self.batch.len() as u64);
        self.upload.send(&self.batch).await?;
        self.batch.clear();
        (self.lines, self.last_sent) = (0, Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::local;
    use crate::fake_server::{self, FakeServer};
    use crate::http::open_stream;

    /// A stream that waits for another one would be ended by the server.
    #[test]
    fn a_stream_that_waits_for_another_is_not_silent() {
        let bytes = local(async {
            let address = fake_server::start(FakeServer::default()).await?;
            let (upload, _lines) = open_stream(address, "/", "").await?;
            let progress = FeedingProgress::new(10);
            progress.add_stream();
            progress.add_stream();
            let mut sender = Sender::new(0, upload, &progress);
            let others = async {
                tokio::time::sleep(LONGEST_SILENCE + Duration::from_millis(200)).await;
                progress.end(1);
                anyhow::Ok(())
            };
            tokio::try_join!(sender.wait_for_others(1_000_000), others)?;
            Ok(progress.bytes.get())
        });
        assert_eq!(bytes.expect("sent"), 1);
    }
}
