//! What a population is made from.

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
