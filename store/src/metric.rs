//! The metrics of this crate: every name once, every handle registered once.

use metrics::{Gauge, Histogram};

/// Records in a group that one sync made durable.
pub const COMMIT_GROUP_SIZE: &str = "profile_commit_group_size";
/// Seconds from a group's first byte to its sync.
pub const COMMIT_DURATION: &str = "profile_commit_duration_seconds";
/// Bytes on disk, by `tree`: `journal`, `keyring`, `sled`; and `dead_letters`, which are a part of `sled`.
pub const STORE_BYTES: &str = "profile_store_bytes";
/// Dead letters that were not kept, by `reason`: `source-limit`, `total-limit`, `queue-limit`, `closing`, `failed`.
pub const DEAD_LETTERS_DROPPED: &str = "profile_dead_letters_dropped_total";
/// Seconds that the wall clock is ahead of the time that retention goes by: above 0 while a jump has to prove itself.
pub const CLOCK_AHEAD: &str = "profile_store_clock_ahead_seconds";
/// Users whose frames could not be folded and are kept apart, sealed.
pub const QUARANTINED_USERS: &str = "profile_store_quarantined_users";

/// The registered handles.
pub(crate) struct Metrics {
    pub(crate) group_size: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) journal_bytes: Gauge,
    pub(crate) keyring_bytes: Gauge,
    pub(crate) sled_bytes: Gauge,
    pub(crate) dead_letter_bytes: Gauge,
    pub(crate) clock_ahead: Gauge,
    pub(crate) quarantined_users: Gauge,
}

impl Metrics {
    /// Registers with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        Self {
            group_size: metrics::histogram!(COMMIT_GROUP_SIZE),
            commit_duration: metrics::histogram!(COMMIT_DURATION),
            journal_bytes: metrics::gauge!(STORE_BYTES, "tree" => "journal"),
            keyring_bytes: metrics::gauge!(STORE_BYTES, "tree" => "keyring"),
            sled_bytes: metrics::gauge!(STORE_BYTES, "tree" => "sled"),
            dead_letter_bytes: metrics::gauge!(STORE_BYTES, "tree" => "dead_letters"),
            clock_ahead: metrics::gauge!(CLOCK_AHEAD),
            quarantined_users: metrics::gauge!(QUARANTINED_USERS),
        }
    }

    /// Counts a dead letter that was not kept.
    pub(crate) fn dead_letter_dropped(&self, reason: &'static str) {
        metrics::counter!(DEAD_LETTERS_DROPPED, "reason" => reason).increment(1);
    }
}
