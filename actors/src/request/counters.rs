//! Counters of one user's actor.

/// Counters of one user's actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserCounters {
    /// States that wait for the journal.
    pub pending: usize,
    /// Live subscriptions.
    pub outlets: usize,
    /// Whether the state is ready for use, and not in its compact form.
    pub is_unpacked: bool,
}
