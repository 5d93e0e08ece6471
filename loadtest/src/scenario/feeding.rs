//! Posts the events of many users: one NDJSON stream per feed, all at the same time.

mod progress;
mod sender;

use crate::http::{self, ResponseLines};
use crate::population::Feeds;
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use progress::FeedingProgress;
use sender::Sender;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the server may take to answer the rest after the last event was to be sent.
const PATIENCE: Duration = Duration::from_secs(180);

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

/// Sends all events of all users until `limit`. Calls `watch` every second with the number of acknowledged events.
pub(crate) async fn feed(
    address: SocketAddr,
    token: &str,
    feeds: Rc<Feeds>,
    limit: Duration,
    watch: impl Fn(u64),
) -> Result<FeedingResult> {
    let shared = Rc::new(FeedingProgress::new(feeds.users()));
    let start = Instant::now();
    let end = start + limit;
    let mut tasks = JoinSet::new();
    for (number, name) in feeds.names().into_iter().enumerate() {
        let (upload, lines) = http::open_stream(address, &format!("/api/v2/feeds/{name}"), token).await?;
        shared.add_stream();
        let (feeds, shared) = (feeds.clone(), shared.clone());
        tasks.spawn_local(async move {
            // The write half is kept until the response has ended.
            let sender = Sender::new(number, upload, &shared);
            let both = tokio::try_join!(sender.send_all(&feeds, name, end), read_results(number, lines, &shared));
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
            () = tokio::time::sleep_until((end + PATIENCE).into()) => bail!(
                "of {} events {} were answered {PATIENCE:?} after the end: the server hangs",
                shared.sent.get(),
                shared.acknowledged()
            ),
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
    let users = shared.users();
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
