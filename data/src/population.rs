//! The population: who belongs to it, under which user ids, and which schemes are launched meanwhile.

mod options;

pub use options::PopulationOptions;

use domain::splitmix64::mix;

use crate::day::DAY;
use crate::launch::Launch;
use crate::person::Person;
use crate::places::states;
use crate::random::{Random, purpose};
use crate::scheme::schemes;

/// A generated population. Every person and every event is generated on request from its number alone and not kept, so
/// that threads can share the work and millions of people take no memory.
#[derive(Debug, Clone)]
pub struct Population {
    pub(crate) options: PopulationOptions,
    pub(crate) launches: Vec<Launch>,
}

impl Population {
    /// Creates a population. Only its launches are generated at once.
    #[must_use]
    pub fn new(options: PopulationOptions) -> Self {
        let launches = Launch::all(&options);
        Self { options, launches }
    }

    /// Returns the number of people.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.options.users
    }

    /// Returns the options that it was created from.
    #[must_use]
    pub fn options(&self) -> &PopulationOptions {
        &self.options
    }

    /// Returns the user id of a person: `usr_S` and 11 letters or digits, different for each index.
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

    /// Returns the index of the person with that user id; `None` if there is none. Takes time in proportion to the
    /// people.
    #[must_use]
    pub fn find(&self, user_id: &str) -> Option<u64> {
        (0..self.users()).find(|index| self.user_id(*index) == user_id)
    }

    /// Returns the person of that index.
    #[must_use]
    pub fn person(&self, index: u64) -> Person {
        Person::new(self.options.seed, index)
    }

    /// Returns the launches: state, scheme and when, in microseconds since the Unix epoch.
    pub fn launches(&self) -> impl Iterator<Item = (&'static str, &'static str, i64)> {
        let named = |launch: &Launch| (states()[launch.state].slug, schemes()[launch.scheme].id.as_str(), launch.at);
        self.launches.iter().map(named)
    }

    /// Returns the time of a person's first event, in the older half of the days.
    pub(crate) fn begin(&self, person: &Person) -> i64 {
        let span = self.span();
        self.options.base_time - span + Random::new(person.key, purpose::BEGIN).below(span.unsigned_abs() / 2) as i64
    }

    /// Returns the launch in a state, if there is one.
    pub(crate) fn launch_in(&self, state: usize) -> Option<&Launch> {
        self.launches.iter().find(|launch| launch.state == state)
    }

    /// Returns the length of the time span of the events, in microseconds.
    pub(crate) fn span(&self) -> i64 {
        i64::from(self.options.days.max(1)) * DAY
    }
}

#[cfg(test)]
mod tests;
