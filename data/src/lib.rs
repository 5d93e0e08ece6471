//! Known facts: states, districts and the example citizen; and a small sample of made-up people.
//!
//! ```
//! assert_eq!(data::states().len(), 36);
//! assert!(data::districts("karnataka").is_some_and(|slugs| slugs.contains(&"bengaluru_urban")));
//! assert_eq!(data::example_events().lines().count(), 13);
//!
//! let sample = data::sample::Sample::new(data::sample::Options::default());
//! let first = sample.first_events(0); // post each to the feed of its source
//! assert_eq!(first[0].source, "identity");
//! ```

mod places;
pub mod sample;

pub use places::{Kind, State, districts, states};

/// The example citizen: thirteen feed events, one a line, of every event type. Post each to the feed that
/// the last segment of its `source` names; `data/example/README.md` says what must follow.
#[must_use]
pub fn example_events() -> &'static str {
    include_str!("../example/events.ndjson")
}

/// The zstd dictionary of stored states and histories; `examples/train_dictionary.rs` made it.
pub const STATE_DICTIONARY: &[u8] = include_bytes!("../dictionary/state-1.zdict");

/// The user id of the example citizen.
pub const EXAMPLE_USER: &str = "usr_7Qm2Xr9TzKpA";
