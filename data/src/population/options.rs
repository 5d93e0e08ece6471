//! The options of a population.

/// The size, seed and time of a population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopulationOptions {
    /// Number of people; indices run from 0 to one below it.
    pub users: u64,
    /// The seed; another one gives other people.
    pub seed: u64,
    /// The time of the newest event, in microseconds since the Unix epoch. Give the clock's time; the
    /// default is the noon of the example citizen, 2026-01-21T12:00:00Z.
    pub base_time: i64,
    /// Number of days before `base_time` that the events are spread over.
    pub days: u32,
}

impl Default for PopulationOptions {
    fn default() -> Self {
        Self { users: 1_000, seed: 1, base_time: 1_768_996_800_000_000, days: 30 }
    }
}
