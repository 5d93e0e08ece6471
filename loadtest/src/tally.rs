//! The counts in a feed's response.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Numbers of events by what the server did with them.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
pub(crate) struct Tally {
    pub(crate) applied: u64,
    pub(crate) unchanged: u64,
    pub(crate) duplicates: u64,
    pub(crate) busy: u64,
    pub(crate) rejected: u64,
}

impl Tally {
    /// Returns the number of events that are durable: those that were applied, and those that changed nothing.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.applied + self.unchanged + self.duplicates
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.duplicates += other.duplicates;
        self.busy += other.busy;
        self.rejected += other.rejected;
    }
}
