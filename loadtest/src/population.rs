//! Users and their events, rendered before the run so that sending them costs little.

use crate::wall_clock;
use data::{GeneratedEvent, Population, PopulationOptions};
use std::collections::BTreeMap;
use std::io::Write;

/// Makes a population whose newest events are from now.
pub(crate) fn population(users: u64) -> Population {
    Population::new(PopulationOptions { users, base_time: wall_clock::now_micros(), ..PopulationOptions::default() })
}

/// An event whose id and subject can be replaced.
struct EventTemplate {
    /// The text before the id.
    before_id: Vec<u8>,
    /// The text between the id and the subject.
    before_subject: Vec<u8>,
    after_subject: Vec<u8>,
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
        Self {
            before_id: json[..id].into(),
            before_subject: json[id_end..subject].into(),
            after_subject: json[subject_end..].into(),
        }
    }

    /// Appends the event as a line, with another user and a new id.
    fn render(&self, user: u64, user_id: &str, number: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_id);
        // Writing to a vector cannot fail.
        let _ = write!(out, "lt-{user}-{number}");
        out.extend_from_slice(&self.before_subject);
        out.extend_from_slice(user_id.as_bytes());
        out.extend_from_slice(&self.after_subject);
        out.push(b'\n');
    }
}

/// The first events of users, by feed: those of a few people, rendered for any number of users.
pub(crate) struct Feeds {
    users: u64,
    people: Population,
    /// The events by feed and by person.
    templates: BTreeMap<&'static str, Vec<Vec<EventTemplate>>>,
}

impl Feeds {
    /// Makes the events of `people` people, for `users` users.
    pub(crate) fn new(users: u64, people: u64) -> Self {
        let population = population(users);
        let people = people.clamp(1, users);
        let mut templates: BTreeMap<&'static str, Vec<Vec<EventTemplate>>> = BTreeMap::new();
        for person in 0..people {
            for event in population.first_events(person) {
                let feed = templates.entry(event.source).or_default();
                feed.resize_with(person as usize + 1, Vec::new);
                feed[person as usize].push(EventTemplate::new(&event));
            }
        }
        // People without an event keep an empty entry, so that a user is the same person in every feed.
        templates.values_mut().for_each(|feed| feed.resize_with(people as usize, Vec::new));
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

    /// Appends the user's events of a feed as lines. Returns their number.
    pub(crate) fn render(&self, feed: &str, user: u64, out: &mut Vec<u8>) -> u64 {
        let Some(people) = self.templates.get(feed) else { return 0 };
        let events = &people[(user % people.len() as u64) as usize];
        let user_id = self.people.user_id(user);
        for (number, event) in events.iter().enumerate() {
            event.render(user, &user_id, number, out);
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
            feeds.render(feed, 3, &mut lines);
            for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                let mut event: Value = serde_json::from_slice(line).expect("JSON");
                event["id"].take();
                rendered.push(event.to_string());
            }
        }
        assert_eq!(rendered.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_user_has_events_of_its_own() {
        let feeds = Feeds::new(50, 7);
        let (mut subjects, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut count = 0;
        for feed in feeds.names() {
            for user in 0..feeds.users() {
                let mut lines = Vec::new();
                count += feeds.render(feed, user, &mut lines);
                for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                    let event: Value = serde_json::from_slice(line).expect("JSON");
                    subjects.insert(event["subject"].as_str().expect("a subject").to_owned());
                    ids.insert(format!("{feed} {}", event["id"]));
                }
            }
        }
        assert_eq!(subjects.len(), 50);
        assert_eq!(ids.len() as u64, count);
    }
}
