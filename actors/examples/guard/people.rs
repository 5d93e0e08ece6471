//! The users and events that all operations work on: some people of the generated population, always the same.

use data::{GeneratedEvent, Population};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::rules::Rules;
use domain::source::Source;

use crate::ports::accept;

/// Number of users. Several, so that a figure is the mean of different profiles.
pub(crate) const USERS: u64 = 32;
/// Number of updates that a user has had before anything is counted.
const EARLIER_UPDATES: u64 = 40;
/// Number of updates of a user that are counted.
const UPDATES: u64 = 8;

/// A user's events, oldest first.
pub(crate) struct Person {
    /// The user.
    pub(crate) user: UserId,
    /// The events before anything is counted.
    pub(crate) earlier: Vec<FeedEvent>,
    /// The place of the first update among them.
    pub(crate) first_update: usize,
    /// The events to count.
    pub(crate) updates: Vec<FeedEvent>,
    /// The same events as they arrive.
    pub(crate) bodies: Vec<GeneratedEvent>,
    /// Events after those, each of which sets one leaf to a new value.
    pub(crate) leaf_updates: Vec<FeedEvent>,
}

/// Returns the people.
pub(crate) fn people(population: &Population, rules: &Rules) -> Vec<Person> {
    (0..USERS).map(|index| person(population, rules, index)).collect()
}

fn person(population: &Population, rules: &Rules, index: u64) -> Person {
    let user = population.user_id(index);
    let first = population.first_events(index);
    let first_update = first.len();
    let earlier = first.into_iter().chain((0..EARLIER_UPDATES).map(|n| population.update(index, n)));
    let bodies: Vec<_> = (EARLIER_UPDATES..EARLIER_UPDATES + UPDATES).map(|n| population.update(index, n)).collect();
    Person {
        user: UserId::parse(&user).unwrap_or_else(|_| panic!("`{user}` is no user id")),
        earlier: earlier.map(|event| accept(&event, rules)).collect(),
        first_update,
        updates: bodies.iter().map(|event| accept(event, rules)).collect(),
        bodies,
        leaf_updates: (0..UPDATES).map(|n| accept(&leaf_update(&user, n), rules)).collect(),
    }
}

/// Returns an event that sets the years of residency, later than the population's events.
fn leaf_update(user: &str, n: u64) -> GeneratedEvent {
    let json = format!(
        r#"{{"specversion":"1.0","id":"leaf-{n}","source":"/engines/metadata","type":"user.metadata.updated","subject":"{user}","time":"2026-01-21T12:00:{n:02}Z","datacontenttype":"application/json","data":{{"fields":{{"demographics":{{"residency_years":{}}}}}}}}}"#,
        60 + n
    );
    GeneratedEvent { source: Source::Metadata.name(), json: json.into_bytes() }
}
