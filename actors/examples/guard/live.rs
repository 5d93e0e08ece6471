//! Operations of the live state: actors, the commit thread and answers, over a journal in memory.

use std::time::{Duration, Instant};

use actors::outlet::{OutletReceiver, channel};
use actors::{Options, Profiles, Reply, Status, Subscription};
use domain::access::Viewer;
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::schema_version::SchemaVersion;
use tokio::sync::mpsc;

use super::meter::Meter;
use super::people::Person;
use crate::ports::ports;

/// Number of reads of each user.
const READS: usize = 8;
/// More than any run takes.
const NEVER: Duration = Duration::from_secs(86_400);

/// Counts the operations.
///
/// # Errors
/// A thread could not be started.
pub(crate) async fn count(meter: &mut dyn Meter, people: &[Person]) -> std::io::Result<()> {
    let profiles = start(people.len())?;
    settle(&profiles, people).await;
    acknowledge_each(meter, "acknowledgement, one at a time", &profiles, people).await;
    read(meter, &profiles, people).await;
    profiles.stop().await;

    let profiles = start(people.len())?;
    settle(&profiles, people).await;
    acknowledge_rounds(meter, "acknowledgement, many users at once", &profiles, people).await;
    profiles.stop().await;

    // One actor alone keeps its state unpacked, so each event unpacks a state and packs another.
    let profiles = start(1)?;
    settle(&profiles, people).await;
    acknowledge_rounds(meter, "acknowledgement, warm users", &profiles, people).await;
    profiles.stop().await;

    let profiles = start(people.len())?;
    settle(&profiles, people).await;
    let receiver = subscribe(&profiles, people).await;
    acknowledge_each(meter, "acknowledgement and a live frame", &profiles, people).await;
    drop(receiver);
    profiles.stop().await;
    Ok(())
}

/// Starts one shard without a cache, which keeps the state of `hot` actors unpacked.
pub(crate) fn start(hot: usize) -> std::io::Result<Profiles> {
    let options = Options {
        shards: 1,
        hydration_threads: 1,
        hot_actors_per_shard: hot,
        max_live_actors: usize::MAX >> 1,
        idle_passivate: NEVER,
        tick: NEVER,
        view_bytes: 0,
        ..Options::default()
    };
    Profiles::start(options, ports())
}

/// Submits what happened before anything is counted, round by round over the people.
pub(crate) async fn settle(profiles: &Profiles, people: &[Person]) {
    for round in rounds(people, |person| person.earlier.clone()) {
        submit(profiles, round).await;
    }
}

async fn acknowledge_each(meter: &mut dyn Meter, name: &str, profiles: &Profiles, people: &[Person]) {
    let events: Vec<FeedEvent> = rounds(people, updates).flatten().collect();
    let count = events.len();
    meter.start();
    for event in events {
        let (reply, result) = Reply::one();
        // A refused event drops its reply, which answers busy.
        drop(profiles.submit(event, Instant::now(), reply));
        let status = result.await.map_or(Status::Busy, |result| result.status);
        assert_ne!(status, Status::Busy, "an event alone finds room");
    }
    meter.stop(name, count);
}

async fn acknowledge_rounds(meter: &mut dyn Meter, name: &str, profiles: &Profiles, people: &[Person]) {
    let rounds: Vec<Vec<FeedEvent>> = rounds(people, updates).collect();
    let count = rounds.iter().map(Vec::len).sum();
    meter.start();
    for round in rounds {
        submit(profiles, round).await;
    }
    meter.stop(name, count);
}

async fn read(meter: &mut dyn Meter, profiles: &Profiles, people: &[Person]) {
    let viewer = |person: &Person| (person.user, Viewer::SelfCitizen(person.user));
    let viewers: Vec<(UserId, Viewer)> = (0..READS).flat_map(|_| people).map(viewer).collect();
    meter.start();
    for (user, viewer) in &viewers {
        let view = profiles.view(*user, viewer, SchemaVersion::NEWEST).await;
        assert!(view.is_ok(), "the user is known");
    }
    meter.stop("read that asks the actor", viewers.len());
}

/// Opens one subscription to each user. The receiver keeps them open; the messages wait in it.
async fn subscribe(profiles: &Profiles, people: &[Person]) -> OutletReceiver {
    let (outlet, receiver) = channel(people.len() * 100);
    for (id, person) in (0..).zip(people) {
        let viewer = Viewer::SelfCitizen(person.user);
        let outlet = outlet.clone();
        let subscription = Subscription {
            id,
            viewer,
            fields: None,
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: None,
            followed_before: false,
            outlet,
        };
        assert!(profiles.subscribe(person.user, subscription).await.is_ok(), "the user is known");
    }
    receiver
}

/// Submits a group of events, at most one of each user, and waits for all results.
pub(crate) async fn submit(profiles: &Profiles, events: Vec<FeedEvent>) {
    let (sender, mut results) = mpsc::unbounded_channel();
    for (index, event) in (0..).zip(events) {
        drop(profiles.submit(event, Instant::now(), Reply::stream(index, sender.clone())));
    }
    drop(sender);
    while let Some(result) = results.recv().await {
        assert_ne!(result.status, Status::Busy, "a group of events finds room");
    }
}

/// Returns the events that are counted.
fn updates(person: &Person) -> Vec<FeedEvent> {
    [&person.updates[..], &person.leaf_updates[..]].concat()
}

/// Returns the nth event of all people, for each n.
fn rounds(people: &[Person], events: impl Fn(&Person) -> Vec<FeedEvent>) -> impl Iterator<Item = Vec<FeedEvent>> {
    let events: Vec<Vec<FeedEvent>> = people.iter().map(events).collect();
    let count = events.iter().map(Vec::len).max().unwrap_or(0);
    (0..count).map(move |n| events.iter().filter_map(|events| events.get(n).cloned()).collect())
}
