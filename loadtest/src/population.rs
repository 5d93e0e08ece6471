//! Users and their events, rendered before the run so that sending them costs little.

use crate::wall_clock;
use data::{GeneratedEvent, Population, PopulationOptions};
use std::collections::BTreeMap;
use std::io::Write;

/// Makes a population whose newest events are from now.
pub(crate) fn population(users: u64) -> Population {
    Population::new(PopulationOptions { users, base_time: wall_clock::now_micros(), ..PopulationOptions::default() })
}

/// An event without its id and its subject.
struct EventTemplate {
    text: Box<[u8]>,
    /// Where the id belongs in the text, and where the subject does.
    id: usize,
    subject: usize,
}

impl EventTemplate {
    fn new(event: &GeneratedEvent) -> Self {
        let json = String::from_utf8_lossy(&event.json);
        let value_of = |name: &str| {
            let start = json.find(name).map_or(0, |at| at + name.len());
            let length = json[start..].find('"').unwrap_or_default();
            (start, start + length)
        };
        let (id, id_end) = value_of(r#""id":""#);
        let (subject, subject_end) = value_of(r#""subject":""#);
        let parts = [&json[..id], &json[id_end..subject], &json[subject_end..]];
        Self { id, subject: id + subject - id_end, text: parts.concat().into_bytes().into() }
    }

    /// Appends the event as a line, with another user and a new id.
    fn render(&self, user: &User, number: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text[..self.id]);
        out.extend_from_slice(user.event_prefix.as_bytes());
        // Writing to a vector cannot fail.
        let _ = write!(out, "{number}");
        out.extend_from_slice(&self.text[self.id..self.subject]);
        out.extend_from_slice(user.id.as_bytes());
        out.extend_from_slice(&self.text[self.subject..]);
        out.push(b'\n');
    }
}

/// The texts that the events of a user have in common.
struct User {
    id: String,
    /// The start of the ids of its events.
    event_prefix: String,
}

/// Number of events about a person in a round of updates: an episode of related changes.
const UPDATES: u64 = 8;
/// Ids of a round start at the round's multiple of this. A person has fewer events of one feed in a round.
const IDS_PER_ROUND: usize = 16;

/// Events by person.
type Round = Vec<Vec<EventTemplate>>;

/// Events of users, by feed and round: those of a few people, rendered for any number of users. The first round has
/// everything that is known about a user at first, later rounds have changes.
pub(crate) struct Feeds {
    users: u64,
    people: Population,
    /// The events by feed and round.
    templates: BTreeMap<&'static str, Vec<Round>>,
}

impl Feeds {
    /// Makes the first events of `people` people, for `users` users.
    pub(crate) fn new(users: u64, people: u64) -> Self {
        Self::with_updates(users, people, 0)
    }

    /// Makes the first events of `people` people and `rounds` rounds of changes, for `users` users.
    pub(crate) fn with_updates(users: u64, people: u64, rounds: u64) -> Self {
        let population = population(users);
        let people = people.clamp(1, users);
        let mut templates: BTreeMap<&'static str, Vec<Round>> = BTreeMap::new();
        let mut add = |round: u64, person: u64, event: &GeneratedEvent| {
            // A user is the same person in every feed and round, with or without events.
            let rounds = templates
                .entry(event.source)
                .or_insert_with(|| (0..=rounds).map(|_| (0..people).map(|_| Vec::new()).collect::<Round>()).collect());
            rounds[round as usize][person as usize].push(EventTemplate::new(event));
        };
        for person in 0..people {
            population.first_events(person).iter().for_each(|event| add(0, person, event));
            for number in 0..rounds * UPDATES {
                add(1 + number / UPDATES, person, &population.update(person, number));
            }
        }
        Self { users, people: population, templates }
    }

    /// Returns the names of the feeds.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.templates.keys().copied().collect()
    }

    /// Returns the user that a feed starts with, which is another one for each feed.
    pub(crate) fn start(&self, feed: &str) -> u64 {
        let position = self.templates.keys().position(|name| *name == feed).unwrap_or_default() as u64;
        self.users * position / self.templates.len() as u64
    }

    /// Returns the number of rounds, including the first.
    pub(crate) fn rounds(&self) -> u64 {
        self.templates.values().next().map_or(0, |rounds| rounds.len() as u64)
    }

    /// Appends the user's events of a feed in a round, from 0, as lines. Returns their number.
    pub(crate) fn render(&self, feed: &str, round: u64, user: u64, out: &mut Vec<u8>) -> u64 {
        let Some(people) = self.templates.get(feed).and_then(|rounds| rounds.get(round as usize)) else { return 0 };
        let events = &people[(user % people.len() as u64) as usize];
        if events.is_empty() {
            return 0;
        }
        let user = User { id: self.people.user_id(user), event_prefix: format!("lt-{user}-") };
        for (number, event) in events.iter().enumerate() {
            event.render(&user, round as usize * IDS_PER_ROUND + number, out);
        }
        events.len() as u64
    }

    /// Returns the population that the events come from.
    pub(crate) fn people(&self) -> &Population {
        &self.people
    }

    /// Returns the number of users.
    pub(crate) fn users(&self) -> u64 {
        self.users
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn a_template_for_its_own_person_is_the_event_but_for_its_id() {
        let feeds = Feeds::new(10, 10);
        let mut rendered = Vec::new();
        let mut expected = Vec::new();
        for event in feeds.people.first_events(3) {
            let mut event: Value = serde_json::from_slice(&event.json).expect("JSON");
            event["id"].take();
            expected.push(event.to_string());
        }
        for feed in feeds.names() {
            let mut lines = Vec::new();
            feeds.render(feed, 0, 3, &mut lines);
            for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                let mut event: Value = serde_json::from_slice(line).expect("JSON");
                event["id"].take();
                rendered.push(event.to_string());
            }
        }
        assert_eq!(rendered.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_user_has_events_of_its_own_and_every_round_others() {
        let feeds = Feeds::with_updates(50, 7, 3);
        let (mut subjects, mut ids, mut texts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut counts = [0; 4];
        for feed in feeds.names() {
            for (round, user) in (0..4).flat_map(|round| (0..feeds.users()).map(move |user| (round, user))) {
                let mut lines = Vec::new();
                counts[round as usize] += feeds.render(feed, round, user, &mut lines);
                for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                    let mut event: Value = serde_json::from_slice(line).expect("JSON");
                    subjects.insert(event["subject"].as_str().expect("a subject").to_owned());
                    ids.insert(format!("{feed} {}", event["id"].take()));
                    texts.insert(event.to_string());
                }
            }
        }
        assert_eq!(subjects.len(), 50);
        assert_eq!(counts[1..], [50 * UPDATES; 3]);
        let count = counts.iter().sum::<u64>();
        assert_eq!((ids.len() as u64, texts.len() as u64), (count, count));
        assert_eq!((feeds.rounds(), Feeds::new(5, 5).rounds()), (4, 1));
    }
}
