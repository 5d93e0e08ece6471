//! The metrics of this crate: every name once, every handle registered once.

use metrics::{Counter, Gauge, Histogram};

/// Records in a group that one sync made durable.
pub const COMMIT_GROUP_SIZE: &str = "profile_commit_group_size";
/// Seconds from a group's first byte to its sync.
pub const COMMIT_DURATION: &str = "profile_commit_duration_seconds";
/// Bytes on disk, by `tree`: `journal`, `keyring`, `sled`.
pub const STORE_BYTES: &str = "profile_store_bytes";
/// Dead letters that were dropped because their queue was full or their write failed.
pub const DEAD_LETTERS_DROPPED: &str = "profile_dead_letters_dropped_total";
/// Users whose frames could not be folded and are kept apart, sealed.
pub const QUARANTINED_USERS: &str = "profile_store_quarantined_users";

/// The registered handles.
pub(crate) struct Metrics {
    pub(crate) group_size: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) journal_bytes: Gauge,
    pub(crate) keyring_bytes: Gauge,
    pub(crate) sled_bytes: Gauge,
    pub(crate) dead_letters_dropped: Counter,
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
            dead_letters_dropped: metrics::counter!(DEAD_LETTERS_DROPPED),
            quarantined_users: metrics::gauge!(QUARANTINED_USERS),
        }
    }
}
