//! Measures the bytes of a warm user, and the events per second of hot and of warm users through mailbox, merge, commit
//! thread and answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actors::{EventResult, Options, Profiles, Reply, Status};
use data::Population;
use domain::access::Viewer;
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::rules::Rules;
use domain::schema_version::SchemaVersion;
use tokio::sync::mpsc;

use crate::ports::{accept, population, ports, rules};

/// Maximum number of events without a result at the same time.
const WINDOW: usize = 8_192;
/// Number of hot actors of a shard.
const HOT: usize = 256;

/// Measures with `users`. If `events` is given, it only sends as many events to warm users, so that two runs with different
/// numbers show the instructions of one event.
pub(crate) async fn measure(users: u64, events: Option<u64>) -> std::io::Result<()> {
    let options = Options {
        max_live_actors: usize::MAX >> 1,
        idle_passivate: Duration::from_secs(86_400),
        hot_actors_per_shard: HOT,
        warm_bytes: usize::MAX >> 1,
        view_bytes: 0,
        ..Options::default()
    };
    let profiles = Profiles::start(options, ports())?;
    let (rules, population) = (rules(), population(users));
    fill(&profiles, &population, &rules, users).await;
    if events.is_none() {
        let hot = (0..100_000).map(|n| population.update(n % users.min(200), n / 200));
        time("hot", &profiles, hot.map(|event| accept(&event, &rules)).collect()).await;
        read(&profiles, &population.user_id(1)).await;
    }
    // A user's next event comes when all others had one, so that it is warm again by then.
    let warm = (0..events.unwrap_or(100_000)).map(|n| population.update(n % users, 1_000 + n / users));
    time("warm", &profiles, warm.map(|event| accept(&event, &rules)).collect()).await;
    profiles.stop().await;
    Ok(())
}

/// Makes all users, and prints what each takes.
async fn fill(profiles: &Profiles, population: &Population, rules: &Rules, users: u64) {
    let first = population.first_events(0).iter().map(|event| accept(event, rules)).collect();
    submit_all(profiles, first).await;

    let before = resident_bytes();
    let mut events = 0;
    let started = Instant::now();
    for index in (1..users).collect::<Vec<_>>().chunks(512) {
        let batch = index.iter().flat_map(|index| population.first_events(*index));
        let batch: Vec<_> = batch.map(|event| accept(&event, rules)).collect();
        events += batch.len();
        submit_all(profiles, batch).await;
    }
    let filled = started.elapsed();
    let bytes = resident_bytes().saturating_sub(before);
    let counters = profiles.observe().await;
    let warm = counters.warm_users.max(1) as u64;
    let (each, state) = (bytes / warm, counters.warm_state_bytes as u64 / warm);
    println!(
        "{warm} warm users of the generated population, {} actors, {events} events in {filled:.1?}: {each} B each (resident), of which the state is {state} B, {} B beside it; counted as {} B",
        counters.live_actors,
        each.saturating_sub(state),
        counters.warm_bytes as u64 / warm
    );
}

/// Submits the events, and prints what one costs.
async fn time(what: &str, profiles: &Profiles, events: Vec<FeedEvent>) {
    let count = events.len() as f64;
    let (started, used) = (Instant::now(), processor_seconds());
    submit_all(profiles, events).await;
    let (elapsed, used) = (started.elapsed().as_secs_f64(), processor_seconds() - used);
    println!(
        "{what} users: {:.0} events/s through mailbox, merge, commit thread and answer (a journal in RAM), {:.1} us of processor each",
        count / elapsed,
        used * 1e6 / count
    );
}

/// Submits all events, at most [`WINDOW`] at the same time, and waits for their results. Busy ones are submitted again.
async fn submit_all(profiles: &Profiles, events: Vec<FeedEvent>) {
    let (sender, mut results) = mpsc::unbounded_channel();
    let mut waiting: VecDeque<usize> = (0..events.len()).collect();
    let mut open = 0;
    while open > 0 || !waiting.is_empty() {
        while open < WINDOW
            && let Some(index) = waiting.pop_front()
        {
            let reply = Reply::stream(index as u64, sender.clone());
            open += 1;
            // If the event is refused, its reply is dropped, which answers busy.
            drop(profiles.submit(events[index].clone(), Instant::now(), reply));
        }
        let mut settle = |result: EventResult| {
            open -= 1;
            if result.status == Status::Busy {
                waiting.push_back(result.index as usize);
            }
        };
        results.recv().await.into_iter().for_each(&mut settle);
        while let Ok(result) = results.try_recv() {
            settle(result);
        }
    }
}

async fn read(profiles: &Profiles, user: &str) {
    let Ok(user) = UserId::parse(user) else { return };
    let viewer = Viewer::SelfCitizen(user);
    let count = 20_000;
    let started = Instant::now();
    for _ in 0..count {
        let _ = profiles.view(user, &viewer, SchemaVersion::NEWEST).await;
    }
    println!("a view that asks the actor (cache off, one at a time): {:.1?}", started.elapsed() / count);
}

/// Returns the bytes of the resident set, from /proc.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

/// Returns the processor time of this process, user and system, in seconds. Other processes hardly change it.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces; utime and stime are the 12th and 13th fields after it, in 1/100 s.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
