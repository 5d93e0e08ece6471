//! Known facts (states, districts, schemes, deadlines, the example citizen), and a generated population that agrees
//! with published figures: people, and the feed events about them.
//!
//! ```
//! assert_eq!(data::states().len(), 36);
//! assert!(data::districts("karnataka").is_some_and(|slugs| slugs.contains(&"bengaluru_urban")));
//! assert_eq!(data::example_events().lines().count(), 13);
//!
//! let population = data::Population::new(data::PopulationOptions::default());
//! let person = population.person(0);
//! println!("{} {}., {} years", person.given_name, person.initial, person.age);
//! let first = population.first_events(0); // post each to the feed of its source
//! assert_eq!(first[0].source, "identity");
//! for arrival in population.traffic(10_000).take(3) {
//!     println!("{}", String::from_utf8_lossy(&arrival.event.json)); // all feeds, in the order of arrival
//! }
//! ```

// Facts.
mod census;
mod condition;
mod names;
mod obligation;
mod places;
mod scheme;
pub mod words;

// People, and what is computed about them.
pub mod figures;
mod outlook;
pub mod person;
mod tables;
mod verdict;

// Events: what happens to a person, its CloudEvents, and everybody's events in the order of their arrival.
mod application;
mod content;
mod episode;
mod event;
mod launch;
mod person_events;
mod population;
mod traffic;

// Tools.
mod day;
mod random;

pub use condition::Conditions;
pub use event::GeneratedEvent;
pub use obligation::{Obligation, obligations};
pub use person::Person;
pub use places::{State, StateKind, districts, states};
pub use population::{Population, PopulationOptions};
pub use scheme::{Scheme, schemes, schemes_waiting};
pub use tables::{Table, tables};
pub use traffic::{Arrival, Traffic};
pub use verdict::{SchemeVerdict, verdicts};

/// Returns the example citizen's thirteen feed events, one a line, with every event type. Post each to the feed that
/// the last segment of its `source` names; `data/example/README.md` describes the expected profile.
#[must_use]
pub fn example_events() -> &'static str {
    include_str!("../example/events.ndjson")
}

/// The zstd dictionaries of stored histories, newest last. Data can only be decompressed with the dictionary
/// that it was compressed with, so a released one must never be changed or removed.
pub const STATE_DICTIONARIES: [&[u8]; 3] = [
    include_bytes!("../dictionary/state-1.zdict"),
    include_bytes!("../dictionary/state-2.zdict"),
    include_bytes!("../dictionary/state-3.zdict"),
];

/// The newest of [`STATE_DICTIONARIES`]; `examples/train_dictionary.rs` made it.
pub const STATE_DICTIONARY: &[u8] = STATE_DICTIONARIES[STATE_DICTIONARIES.len() - 1];

/// The user id of the example citizen.
pub const EXAMPLE_USER: &str = "usr_7Qm2Xr9TzKpA";

#[cfg(test)]
mod tests {
    #[test]
    fn no_released_dictionary_was_changed() {
        assert_eq!(super::STATE_DICTIONARIES.map(crc32c::crc32c), [3_317_371_542, 3_804_262_437, 1_319_718_098]);
    }
}
