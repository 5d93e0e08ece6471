//! What assembly depends on besides documents and the day: facts and settings, fixed while the server runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use crate::table::Leaf;

/// The rules of assembly and validation.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The zone in which the calendar day is taken.
    pub zone: TimeZone,
    /// State slug to the slugs of its districts.
    pub districts: BTreeMap<String, BTreeSet<String>>,
    /// When a leaf does not count in completeness.
    pub not_applicable: Vec<NotApplicable>,
    /// Number of known schemes whose rules need a leaf; 0 for a leaf that is not listed.
    pub schemes_waiting: BTreeMap<Leaf, u32>,
    /// Limits on what a value may hold.
    pub limits: Limits,
}

/// A rule of completeness: a leaf does not count while another leaf has one of some values.
#[derive(Debug, Clone)]
pub struct NotApplicable {
    /// The leaf that does not count.
    pub leaf: Leaf,
    /// The leaf that decides.
    pub when: Leaf,
    /// Its values, in canonical JSON, at which `leaf` does not count.
    pub is_one_of: Vec<String>,
}

/// Limits on what values may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum number of characters of a string.
    pub string_chars: usize,
    /// Maximum number of characters of a scheme's or a deadline's id, and of the name of a matched rule.
    pub id_chars: usize,
    /// Maximum number of characters of a description.
    pub description_chars: usize,
    /// Maximum number of schemes of a batch.
    pub schemes: usize,
    /// Maximum size of a batch in canonical form, in bytes.
    pub eligibility_batch_bytes: usize,
    /// Maximum number of matched rules of a scheme.
    pub matched_rules: usize,
    /// Maximum number of predicted events.
    pub predicted_events: usize,
    /// Maximum size of all predicted events in canonical form, in bytes.
    pub predicted_events_bytes: usize,
    /// Maximum number of recommended actions.
    pub recommended_actions: usize,
    /// Maximum size of all recommended actions in canonical form, in bytes.
    pub recommended_actions_bytes: usize,
    /// Maximum number of cohort tags.
    pub cohort_tags: usize,
    /// Maximum size of `aggregated_metrics` in canonical form, in bytes.
    pub aggregated_metrics_bytes: usize,
    /// How far ahead of the clock an event's `time` may be, in microseconds.
    pub future_tolerance_micros: i64,
    /// Maximum nesting depth of JSON.
    pub json_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            string_chars: 128,
            id_chars: 64,
            description_chars: 512,
            schemes: 256,
            eligibility_batch_bytes: 64 << 10,
            matched_rules: 16,
            predicted_events: 64,
            predicted_events_bytes: 16 << 10,
            recommended_actions: 64,
            recommended_actions_bytes: 16 << 10,
            cohort_tags: 64,
            aggregated_metrics_bytes: 4096,
            future_tolerance_micros: 5 * 60 * 1_000_000,
            json_depth: 64,
        }
    }
}

impl Rules {
    /// Returns a number that changes with the rules that assembled profiles depend on. A profile that was assembled
    /// under other rules is assembled again at its next use.
    pub fn fingerprint(&self) -> u32 {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(format!("v1 {:?} {:?} {:?}", self.zone.iana_name(), self.districts, self.not_applicable));
        let digest = hash.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}
