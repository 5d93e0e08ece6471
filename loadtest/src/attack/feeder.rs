//! A feed stream that sends as fast as the server takes it, for a time or to its end.

use super::burst::Lines;
use crate::http::{self, Upload};
use crate::scenario::Tally;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Lines that are sent at once, in bytes.
const PIECE: usize = 16 * 1_024;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Fed {
    /// Events sent, and their bytes.
    pub(crate) sent: u64,
    pub(crate) bytes: u64,
    /// What the server's total line said; zeros where it did not come in time.
    pub(crate) tally: Tally,
    /// Streams, and those whose total line came.
    pub(crate) requests: u64,
    pub(crate) totals: u64,
}

impl AddAssign for Fed {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.tally += other.tally;
        self.requests += other.requests;
        self.totals += other.totals;
    }
}

/// Sends lines until there is none left, or for `length`; then waits for the total, but no longer than `patience`.
pub(crate) async fn feed(
    address: SocketAddr,
    source: &str,
    token: &str,
    mut lines: Lines,
    length: Duration,
    patience: Duration,
) -> Result<Fed> {
    let end = Instant::now() + length;
    let (upload, answer) = http::open(address, &format!("/api/v2/feeds/{source}"), token).await?;
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
                // The way in stays open until the answer has ended.
                return upload.end().await;
            }
        }
    };
    let both = async { tokio::try_join!(send, total(answer)) };
    let tally = match timeout(length + patience, both).await {
        Ok(done) => Some(done?.1),
        Err(_) => None,
    };
    Ok(Fed {
        sent: sent.get(),
        bytes: bytes.get(),
        tally: tally.unwrap_or_default(),
        requests: 1,
        totals: u64::from(tally.is_some()),
    })
}

/// A line of the answer that may be the total.
#[derive(Deserialize)]
struct Line {
    total: Option<u64>,
}

/// Reads the answer to its total line.
async fn total(mut answer: http::Lines) -> Result<Tally> {
    while let Some(text) = answer.next().await? {
        let line: Line = serde_json::from_slice(text).context("a result that is no JSON")?;
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
    use crate::fake::{self, Fake};

    fn run(fake: Fake, total: u64, length: Duration) -> Result<Fed> {
        local(async {
            let address = fake::start(fake).await?;
            let lines = burst::statuses("usr_Attacker0000".into(), 10, total);
            feed(address, "schemes", "token", lines, length, Duration::from_millis(200)).await
        })
    }

    #[test]
    fn all_lines_are_sent_and_the_total_is_read() {
        let fed = run(Fake::default(), 1_000, Duration::from_secs(60)).expect("fed");
        assert_eq!((fed.sent, fed.tally.applied, fed.totals), (1_000, 1_000, 1));
        assert!(fed.bytes > 150_000, "{} bytes", fed.bytes);
    }

    #[test]
    fn an_endless_burst_ends_by_time() {
        let fed = run(Fake::default(), u64::MAX, Duration::from_millis(50)).expect("fed");
        assert_eq!(fed.sent, fed.tally.applied);
    }

    #[test]
    fn a_server_that_stalls_does_not_hold_it() {
        let stall = Some((1, Duration::from_secs(60)));
        let fed = run(Fake { stall, ..Fake::default() }, 10, Duration::from_millis(50)).expect("given up");
        assert_eq!((fed.sent, fed.totals), (10, 0));
    }
}
