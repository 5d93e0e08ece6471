//! Streams events to a feed as fast as the server reads them, for a time or to their end.

use super::burst::EventLines;
use crate::http::{self, Upload};
use crate::tally::Tally;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Number of bytes to send at a time.
const PIECE: usize = 16 * 1_024;

/// What was sent, and how it was answered.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct BurstResult {
    /// Number of events sent, and of their bytes.
    pub(crate) sent: u64,
    pub(crate) bytes: u64,
    /// The counts of the total line, or zeros if it did not come in time.
    pub(crate) tally: Tally,
    /// Number of streams, and of those whose total line came.
    pub(crate) requests: u64,
    pub(crate) totals: u64,
}

impl AddAssign for BurstResult {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.tally += other.tally;
        self.requests += other.requests;
        self.totals += other.totals;
    }
}

/// Sends lines to their end or for `length`. Then waits for the total, for at most `patience`.
pub(crate) async fn feed(
    address: SocketAddr,
    source: &str,
    token: &str,
    mut lines: EventLines,
    length: Duration,
    patience: Duration,
) -> Result<BurstResult> {
    let end = Instant::now() + length;
    let (upload, answer) = http::open_stream(address, &format!("/api/v2/feeds/{source}"), token).await?;
    let (sent, bytes) = (Cell::new(0), Cell::new(0));
    let send = async {
        let mut upload = Some(upload);
        let mut piece = Vec::with_capacity(PIECE * 2);
        loop {
            piece.clear();
            let mut count = 0;
            while piece.len() < PIECE && Instant::now() < end && lines(&mut piece) {
                count += 1;
            }
            let last = piece.len() < PIECE;
            if !piece.is_empty() {
                upload.as_mut().context("the stream has ended")?.send(&piece).await?;
                sent.set(sent.get() + count);
                bytes.set(bytes.get() + piece.len() as u64);
            }
            if last {
                let upload: Upload = upload.take().context("the stream has ended")?;
                // The write half is kept until the response has ended.
                return upload.end().await;
            }
        }
    };
    let both = async { tokio::try_join!(send, read_total(answer)) };
    let tally = match timeout(length + patience, both).await {
        Ok(done) => Some(done?.1),
        Err(_) => None,
    };
    Ok(BurstResult {
        sent: sent.get(),
        bytes: bytes.get(),
        tally: tally.unwrap_or_default(),
        requests: 1,
        totals: u64::from(tally.is_some()),
    })
}

/// A line of the response, which may be the total.
#[derive(Deserialize)]
struct TotalLine {
    total: Option<u64>,
}

/// Reads the response up to the total line.
async fn read_total(mut answer: http::ResponseLines) -> Result<Tally> {
    while let Some(text) = answer.next().await? {
        let line: TotalLine = serde_json::from_slice(text).context("a result that is not JSON")?;
        if line.total.is_some() {
            return serde_json::from_slice(text).context("a total without its counts");
        }
    }
    Ok(Tally::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::burst;
    use crate::drive::local;
    use crate::fake_server::{self, FakeServer};

    fn run(fake: FakeServer, total: u64, length: Duration) -> Result<BurstResult> {
        local(async {
            let address = fake_server::start(fake).await?;
            let lines = burst::statuses("usr_Attacker0000".into(), 10, total);
            feed(address, "schemes", "token", lines, length, Duration::from_millis(200)).await
        })
    }

    #[test]
    fn all_lines_are_sent_and_the_total_is_read() {
        let fed = run(FakeServer::default(), 1_000, Duration::from_secs(60)).expect("fed");
        assert_eq!((fed.sent, fed.tally.applied, fed.totals), (1_000, 1_000, 1));
        assert!(fed.bytes > 150_000, "{} bytes", fed.bytes);
    }

    #[test]
    fn an_endless_burst_ends_by_time() {
        let fed = run(FakeServer::default(), u64::MAX, Duration::from_millis(50)).expect("fed");
        assert_eq!(fed.sent, fed.tally.applied);
    }

    #[test]
    fn a_server_that_stalls_does_not_block_the_run() {
        let stall = Some((1, Duration::from_secs(60)));
        let fed = run(FakeServer { stall, ..FakeServer::default() }, 10, Duration::from_millis(50)).expect("given up");
        assert_eq!((fed.sent, fed.totals), (10, 0));
    }
}
