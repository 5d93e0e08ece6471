//! What callers receive from a user's actor.

use domain::completeness::MissingField;
use domain::table::Member;

/// The completeness of a profile, as far as the viewer may see it.
#[derive(Debug, Clone)]
pub struct Completeness {
    /// The revision that was measured.
    pub revision: u64,
    /// The value of `profile_completeness_pct`.
    pub pct: u8,
    /// The percentage of each section, over the leaves that the viewer may see.
    pub sections: Vec<(Member, u8)>,
    /// The fields that are missing among those that the viewer may see, the most valuable first.
    pub missing: Vec<MissingField>,
}

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
