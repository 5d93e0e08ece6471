//! The metrics of this crate. The table has every name and meaning; each handle is registered once.

use domain::port::audit::AuditCategory;
use metrics::{Counter, Gauge, Histogram};

domain::metric_table! {
    COMMIT_GROUP_SIZE = Histogram "profile_commit_group_size" [] Count: "Records in a group that one sync made durable.";
    COMMIT_DURATION = Histogram "profile_commit_duration_seconds" [] Seconds: "Time from the first byte of a group to the end of its sync.";
    STORE_BYTES = Gauge "profile_store_bytes" ["tree"] Bytes: "Bytes on disk: of the journal, the keyring, the saved columns, sled, and of the dead letters, which are a part of sled.";
    DEAD_LETTERS_DROPPED = Counter "profile_dead_letters_dropped_total" ["reason"] Count: "Dead letters that were not kept: source-limit, total-limit, queue-limit, closing or failed.";
    CLOCK_AHEAD = Gauge "profile_store_clock_ahead_seconds" [] Seconds: "How far the wall clock is ahead of the time that retention goes by: above 0 while a forward jump waits for `store.confirm_clock_s`.";
    AUDIT_ENTRIES = Counter "profile_audit_entries_total" ["category"] Count: "Entries that were written to the audit log: compliance, security or operations.";
    AUDIT_DROPPED = Counter "profile_audit_dropped_total" ["category"] Count: "Entries that were not written and that no operation waited for.";
    AUDIT_WRITE_FAILURES = Counter "profile_audit_write_failures_total" ["category"] Count: "Writes and syncs of the audit log that failed, and entries that were not durable in time. Operations that need a compliance entry fail with them.";
    AUDIT_ANCHOR_FAILURES = Counter "profile_audit_anchor_failures_total" [] Count: "Tree heads that could not be added to the anchor file.";
    AUDIT_SYNC_DURATION = Histogram "profile_audit_sync_duration_seconds" [] Seconds: "Time of a sync of the audit log, which a group of entries shares.";
    QUARANTINED_USERS = Gauge "profile_store_quarantined_users" [] Count: "Users whose stored data is damaged: frames could not be folded and are kept apart, sealed, or a load has failed since the start.";
}

/// The registered handles of the audit log. Counters are by category, in the order of [`AuditCategory::ALL`].
pub(crate) struct AuditHandles {
    pub(crate) entries: [Counter; AuditCategory::COUNT],
    pub(crate) dropped: [Counter; AuditCategory::COUNT],
    pub(crate) failures: [Counter; AuditCategory::COUNT],
    pub(crate) anchor_failures: Counter,
    pub(crate) syncs: Histogram,
}

impl AuditHandles {
    /// Registers with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        let each = |name: &'static str| {
            AuditCategory::ALL.map(|category| metrics::counter!(name, "category" => category.name()))
        };
        Self {
            entries: each(AUDIT_ENTRIES.name),
            dropped: each(AUDIT_DROPPED.name),
            failures: each(AUDIT_WRITE_FAILURES.name),
            anchor_failures: metrics::counter!(AUDIT_ANCHOR_FAILURES.name),
            syncs: metrics::histogram!(AUDIT_SYNC_DURATION.name),
        }
    }
}

/// The registered handles.
pub(crate) struct Metrics {
    pub(crate) group_size: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) journal_bytes: Gauge,
    pub(crate) keyring_bytes: Gauge,
    pub(crate) columns_bytes: Gauge,
    pub(crate) sled_bytes: Gauge,
    pub(crate) dead_letter_bytes: Gauge,
    pub(crate) clock_ahead: Gauge,
    pub(crate) quarantined_users: Gauge,
}

impl Metrics {
    /// Registers with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        Self {
            group_size: metrics::histogram!(COMMIT_GROUP_SIZE.name),
            commit_duration: metrics::histogram!(COMMIT_DURATION.name),
            journal_bytes: metrics::gauge!(STORE_BYTES.name, "tree" => "journal"),
            keyring_bytes: metrics::gauge!(STORE_BYTES.name, "tree" => "keyring"),
            columns_bytes: metrics::gauge!(STORE_BYTES.name, "tree" => "columns"),
            sled_bytes: metrics::gauge!(STORE_BYTES.name, "tree" => "sled"),
            dead_letter_bytes: metrics::gauge!(STORE_BYTES.name, "tree" => "dead_letters"),
            clock_ahead: metrics::gauge!(CLOCK_AHEAD.name),
            quarantined_users: metrics::gauge!(QUARANTINED_USERS.name),
        }
    }

    /// Counts a dead letter that was not kept.
    pub(crate) fn dead_letter_dropped(&self, reason: &'static str) {
        metrics::counter!(DEAD_LETTERS_DROPPED.name, "reason" => reason).increment(1);
    }
}
