//! The population: who there is, and single events about each.

use crate::day::{DAY, SECOND};
use crate::event::{self, EventContent, GeneratedEvent, Subject};
use crate::person::Person;
use crate::places::states;
use crate::random::{Random, mix, purpose};
use crate::scheme::schemes;
use crate::traffic::{Launch, Traffic, first_acts, nth_act};

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopulationOptions {
    /// How many people there are; indices run from 0 to here.
    pub users: u64,
    /// Another seed gives other people.
    pub seed: u64,
    /// The time of the newest event, in microseconds since the Unix epoch. Give the clock's time; the
    /// default is the noon of the example citizen, 2026-01-21T12:00:00Z.
    pub base_time: i64,
    /// Over how many days before `base_time` the events lie.
    pub days: u32,
}

impl Default for PopulationOptions {
    fn default() -> Self {
        Self { users: 1_000, seed: 1, base_time: 1_768_996_800_000_000, days: 30 }
    }
}

/// A made-up population. Nothing is made before it is asked for, and nothing is kept: any person and any event can be
/// had by number alone, so that threads can share the work and millions take no memory.
#[derive(Debug, Clone)]
pub struct Population {
    pub(crate) options: PopulationOptions,
    pub(crate) launches: Vec<Launch>,
}

impl Population {
    /// A population.
    #[must_use]
    pub fn new(options: PopulationOptions) -> Self {
        let launches = Launch::all(&options);
        Self { options, launches }
    }

    /// How many people there are.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.options.users
    }

    /// What it was made of.
    #[must_use]
    pub fn options(&self) -> &PopulationOptions {
        &self.options
    }

    /// The user id of a person: `usr_S` and 11 letters or digits, different for each index.
    #[must_use]
    pub fn user_id(&self, index: u64) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        // 11 digits of base 62 hold any 64 bits, and `mix` gives no two indices the same.
        let mut number = mix(index ^ mix(self.options.seed));
        let mut id = String::with_capacity(16);
        id.push_str("usr_S");
        for _ in 0..11 {
            id.push(char::from(DIGITS[(number % 62) as usize]));
            number /= 62;
        }
        id
    }

    /// The index behind a user id; `None` where nobody has it. Looks at everyone.
    #[must_use]
    pub fn find(&self, user_id: &str) -> Option<u64> {
        (0..self.users()).find(|index| self.user_id(*index) == user_id)
    }

    /// Who somebody is.
    #[must_use]
    pub fn person(&self, index: u64) -> Person {
        Person::new(self.options.seed, index)
    }

    /// The events that make a person known, a second apart and oldest first: identity, metadata, consent, eligibility,
    /// up to three deadlines, predictions, trust, analytics, perhaps a word of their own.
    #[must_use]
    pub fn first_events(&self, index: u64) -> Vec<GeneratedEvent> {
        let (person, user_id) = (self.person(index), self.user_id(index));
        let begin = self.begin(&person);
        let acts = first_acts(&person, begin, None).into_iter().zip(0_u32..);
        let events = acts.map(|(act, number)| {
            let time = (begin + i64::from(number) * SECOND).min(self.options.base_time);
            let number = number.into();
            event_of(
                act,
                &Subject { person: &person, user_id: &user_id, index, number, time, changes: 0, launch: None },
            )
        });
        events.collect()
    }

    /// The nth small change of a person, from 0, later than the one before it and not after `base_time`.
    #[must_use]
    pub fn update(&self, index: u64, n: u64) -> GeneratedEvent {
        let person = self.person(index);
        let rest = (self.options.base_time - self.begin(&person)) / 2;
        let time = self.options.base_time - rest / i64::try_from(n.saturating_add(1)).unwrap_or(i64::MAX);
        self.change(index, n, &person, time)
    }

    /// The same change at another time, in microseconds since the Unix epoch: for a trickle of events that
    /// happen now.
    #[must_use]
    pub fn update_at(&self, index: u64, n: u64, time: i64) -> GeneratedEvent {
        self.change(index, n, &self.person(index), time)
    }

    /// So many events about all of them, spread over the days, in the order in which they arrive.
    #[must_use]
    pub fn traffic(&self, events: u64) -> Traffic<'_> {
        Traffic::new(self, events)
    }

    /// The launches of the days: state, scheme and when, in microseconds since the Unix epoch.
    pub fn launches(&self) -> impl Iterator<Item = (&'static str, &'static str, i64)> {
        let named = |launch: &Launch| (states()[launch.state].slug, schemes()[launch.scheme].id.as_str(), launch.at);
        self.launches.iter().map(named)
    }

    fn change(&self, index: u64, n: u64, person: &Person, time: i64) -> GeneratedEvent {
        // Numbers of first events are small: changes begin behind them.
        let number = n.saturating_add(FIRST_CHANGE);
        let user_id = self.user_id(index);
        let subject = Subject { person, user_id: &user_id, index, number, time, changes: n, launch: None };
        event_of(nth_act(person, n), &subject)
    }

    /// When a person's first event is: in the older half of the days.
    fn begin(&self, person: &Person) -> i64 {
        let span = self.span();
        self.options.base_time - span + Random::new(person.key, purpose::BEGIN).below(span.unsigned_abs() / 2) as i64
    }

    /// The launch in a state, if there is one.
    pub(crate) fn launch_in(&self, state: usize) -> Option<&Launch> {
        self.launches.iter().find(|launch| launch.state == state)
    }

    /// The time that the events lie in, in microseconds.
    pub(crate) fn span(&self) -> i64 {
        i64::from(self.options.days.max(1)) * DAY
    }
}

fn event_of(act: EventContent, subject: &Subject<'_>) -> GeneratedEvent {
    let mut json = Vec::with_capacity(1_024);
    let source = event::write(act, subject, &mut json);
    GeneratedEvent { source, json }
}

/// The number of a person's first change among their events.
pub(crate) const FIRST_CHANGE: u64 = 100;

#[cfg(test)]
mod tests;
