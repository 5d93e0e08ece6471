//! Posts the events of many users: one NDJSON stream per feed, all at the same time.

use crate::http::{self, ResponseLines, Upload};
use crate::population::Feeds;
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Number of bytes to send at a time.
const BATCH: usize = 32 * 1_024;
/// Maximum number of users that a stream is ahead of the slowest. The mix of events is therefore the same at any time,
/// although feeds have different numbers of events.
const MAX_AHEAD: u64 = 2_000;
/// Number of users after which a stream looks at the time and at the other streams.
const CHECK_EVERY: u64 = 64;

/// The scopes of a token that may post to every feed.
pub(crate) const ALL_FEEDS: &str = "feed:identity feed:metadata feed:self feed:eligibility feed:schemes feed:deadlines \
                                    feed:trust feed:predictions feed:analytics feed:consent";

/// The result of posting events.
pub(crate) struct FeedingResult {
    pub(crate) tally: Tally,
    /// Number of lines sent, and of their bytes.
    pub(crate) sent: u64,
    pub(crate) bytes: u64,
    /// Number of users with any event.
    pub(crate) users: u64,
    pub(crate) took: Duration,
    /// Acknowledged events in each second. The server reports progress in thousands of events, so single seconds are
    /// inexact.
    pub(crate) per_second: Vec<u64>,
    /// The result line of the first rejected event.
    pub(crate) first_rejection: Option<String>,
}

/// Counts of all streams.
#[derive(Default)]
struct FeedingProgress {
    /// The latest tally of each stream.
    tallies: RefCell<Vec<Tally>>,
    sent: Cell<u64>,
    bytes: Cell<u64>,
    /// Number of users that each stream has rendered, counted over all rounds; the greatest number for a stream that has
    /// ended.
    positions: RefCell<Vec<u64>>,
    /// Notified when a position changes.
    moved: Notify,
    /// The users with any event.
    users: RefCell<Vec<bool>>,
    first_rejection: RefCell<Option<String>>,
}

impl FeedingProgress {
    fn acknowledged(&self) -> u64 {
        self.tallies.borrow().iter().map(Tally::acknowledged).sum()
    }

    fn move_to(&self, stream: usize, position: u64) {
        self.positions.borrow_mut()[stream] = position;
        self.moved.notify_waiters();
    }

    /// Waits until a stream at this position is not too far ahead of the slowest.
    async fn wait_for_others(&self, position: u64) {
        while self.positions.borrow().iter().min().is_some_and(|slowest| position > slowest + MAX_AHEAD) {
            self.moved.notified().await;
        }
    }
}

/// Sends all events of all users until `limit`. Calls `watch` every second with the number of acknowledged events.
pub(crate) async fn feed(
    address: SocketAddr,
    token: &str,
    feeds: Rc<Feeds>,
    limit: Duration,
    watch: impl Fn(u64),
) -> Result<FeedingResult> {
    let shared = Rc::new(FeedingProgress::default());
    shared.users.borrow_mut().resize(feeds.users() as usize, false);
    let start = Instant::now();
    let end = start + limit;
    let mut tasks = JoinSet::new();
    for (number, name) in feeds.names().into_iter().enumerate() {
        let (upload, lines) = http::open_stream(address, &format!("/api/v2/feeds/{name}"), token).await?;
        shared.tallies.borrow_mut().push(Tally::default());
        shared.positions.borrow_mut().push(0);
        let (feeds, shared) = (feeds.clone(), shared.clone());
        tasks.spawn_local(async move {
            // The write half is kept until the response has ended.
            let send = send(feeds, (number, name), upload, end, &shared);
            let both = tokio::try_join!(send, read_results(number, lines, &shared));
            both.map(drop).with_context(|| format!("feed `{name}`"))
        });
    }
    let mut per_second = Vec::new();
    let mut seconds = tokio::time::interval_at((start + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let mut before = 0;
    loop {
        tokio::select! {
            task = tasks.join_next() => match task {
                Some(task) => task.context("a stream's task panicked")??,
                None => break,
            },
            _ = seconds.tick() => {
                let now = shared.acknowledged();
                per_second.push(now - before);
                before = now;
                watch(now);
            }
        }
    }
    let mut tally = Tally::default();
    shared.tallies.borrow().iter().for_each(|tallies| tally += *tallies);
    let first_rejection = shared.first_rejection.take();
    let (sent, bytes) = (shared.sent.get(), shared.bytes.get());
    let users = shared.users.borrow().iter().filter(|has_events| **has_events).count() as u64;
    Ok(FeedingResult { tally, sent, bytes, users, took: start.elapsed(), per_second, first_rejection })
}

/// Posts the events of all users before a measurement. Fails if an event is not acknowledged.
pub(crate) async fn load_users(address: SocketAddr, token: &str, feeds: Rc<Feeds>) -> Result<()> {
    let fed = feed(address, token, feeds, Duration::from_secs(600), |_| {}).await?;
    if fed.tally.acknowledged() != fed.sent {
        let said = fed.first_rejection.unwrap_or_default();
        bail!("of {} events {} were acknowledged: {said}", fed.sent, fed.tally.acknowledged());
    }
    Ok(())
}

/// Sends the events of a feed, round by round, and the users of each round from the feed's own start.
async fn send(
    feeds: Rc<Feeds>,
    (number, name): (usize, &str),
    mut upload: Upload,
    end: Instant,
    shared: &FeedingProgress,
) -> Result<OwnedWriteHalf> {
    let (start, mut batch, mut lines) = (feeds.start(name), Vec::with_capacity(BATCH * 2), 0);
    let total = feeds.users() * feeds.rounds();
    for position in 0..total {
        let user = (start + position) % feeds.users();
        let count = feeds.render(name, position / feeds.users(), user, &mut batch);
        if count > 0 {
            shared.users.borrow_mut()[user as usize] = true;
        }
        lines += count;
        let is_last = position + 1 == total || (position % CHECK_EVERY == 0 && Instant::now() > end);
        if batch.len() >= BATCH || (is_last && !batch.is_empty()) {
            shared.sent.set(shared.sent.get() + lines);
            shared.bytes.set(shared.bytes.get() + batch.len() as u64);
            upload.send(&batch).await?;
            batch.clear();
            lines = 0;
        }
        if is_last {
            break;
        }
        if position % CHECK_EVERY == 0 {
            shared.move_to(number, position);
            shared.wait_for_others(position).await;
        }
    }
    shared.move_to(number, u64::MAX - MAX_AHEAD);
    upload.end().await
}

/// A line of the response: a result, progress, or the total. Progress and total also contain a tally.
#[derive(Deserialize)]
struct ResultLine<'a> {
    progress: Option<u64>,
    total: Option<u64>,
    status: Option<&'a str>,
    #[serde(borrow)]
    problem: Option<&'a RawValue>,
}

async fn read_results(number: usize, mut lines: ResponseLines, shared: &FeedingProgress) -> Result<()> {
    while let Some(text) = lines.next().await? {
        let line: ResultLine<'_> = serde_json::from_slice(text).context("a result that is not JSON")?;
        if line.progress.or(line.total).is_some() {
            shared.tallies.borrow_mut()[number] = serde_json::from_slice(text).context("a tally that is not JSON")?;
        }
        if line.status == Some("rejected") {
            let text = || String::from_utf8_lossy(text).into_owned();
            shared.first_rejection.borrow_mut().get_or_insert_with(text);
        }
        if line.total.is_some() {
            return match line.problem {
                Some(problem) => bail!("the server ended the stream: {problem}"),
                None => Ok(()),
            };
        }
    }
    bail!("the results ended without a total")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::local;
    use crate::fake_server::{self, FakeServer};

    fn run(fake: FakeServer, users: u64) -> Result<FeedingResult> {
        local(async {
            let address = fake_server::start(fake).await?;
            feed(address, "token", Rc::new(Feeds::new(users, 3)), Duration::from_secs(60), |_| {}).await
        })
    }

    #[test]
    fn every_event_of_every_user_is_sent_and_counted() {
        let fed = run(FakeServer::default(), 200).expect("fed");
        let expected: u64 = {
            let feeds = Feeds::new(200, 3);
            let of_feed = |name| (0..200).map(|user| feeds.render(name, 0, user, &mut Vec::new())).sum::<u64>();
            feeds.names().into_iter().map(of_feed).sum()
        };
        assert_eq!((fed.sent, fed.tally.acknowledged()), (expected, expected));
        assert!(fed.bytes > expected * 200, "{} bytes", fed.bytes);
        assert_eq!((fed.users, fed.first_rejection), (200, None));
    }

    #[test]
    fn what_was_rejected_is_counted_and_shown() {
        let fed = run(FakeServer { reject_every: Some(10), ..FakeServer::default() }, 50).expect("fed");
        assert_eq!(fed.tally.acknowledged() + fed.tally.rejected, fed.sent);
        assert!(fed.tally.rejected > 0 && fed.first_rejection.expect("a rejection").contains("made up"));
    }

    #[test]
    fn a_server_that_refuses_the_stream_is_an_error_that_says_so() {
        let refused = run(FakeServer { status: 503, ..FakeServer::default() }, 5).err().expect("an error");
        assert!(format!("{refused:#}").contains("answered 503"), "{refused:#}");
    }
}
