//! The calendar, and the bounds of the values in events.

use std::time::Duration;

use domain::event::time::parse_micros;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::DAY_S;
use crate::ConfigError;
use crate::keys::Keys;

/// The section `[time]`: the calendar and the clock.
#[derive(Debug, Clone)]
pub struct Time {
    /// The time zone of the calendar day that values of profiles depend on.
    pub zone: TimeZone,
    /// How far the time of an event may be in the future.
    pub future_tolerance: Duration,
    /// The fixed time of the clock of assembly, in development only.
    pub fixed_clock: Option<Timestamp>,
}

impl Time {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let zone = TimeZone::get(keys.text("time.zone")?)
            .map_err(|_| keys.refuse("time.zone", "an IANA time zone, e.g. `Asia/Kolkata`"))?;
        let fixed_clock = match keys.text("time.fixed_clock")? {
            "" => None,
            text => Some(instant(text).ok_or_else(|| {
                keys.refuse("time.fixed_clock", "an RFC 3339 instant, e.g. `2026-01-21T12:00:00Z`, or an empty string")
            })?),
        };
        Ok(Self { zone, future_tolerance: keys.seconds("time.future_tolerance_s", 0..=DAY_S)?, fixed_clock })
    }
}

/// Parses an RFC 3339 time.
fn instant(text: &str) -> Option<Timestamp> {
    parse_micros(text).and_then(|micros| Timestamp::from_microsecond(micros).ok())
}

/// The section `[profile]`: bounds of the values in an event.
#[derive(Debug, Clone)]
pub struct ProfileLimits {
    /// Maximum number of characters of a string.
    pub max_string_chars: usize,
    /// Maximum number of characters of a scheme's or a deadline's id, and of the name of a matched rule.
    pub max_id_chars: usize,
    /// Maximum number of characters of a deadline's description.
    pub max_description_chars: usize,
    /// Maximum number of schemes in a batch.
    pub max_schemes: usize,
    /// Maximum size of a batch in canonical form, in bytes.
    pub max_eligibility_batch_bytes: usize,
    /// Maximum number of matched rules of a scheme.
    pub max_matched_rules: usize,
    /// Maximum number of predicted events.
    pub max_predicted_events: usize,
    /// Maximum size of all predicted events in canonical form, in bytes.
    pub max_predicted_events_bytes: usize,
    /// Maximum number of recommended actions.
    pub max_recommended_actions: usize,
    /// Maximum size of all recommended actions in canonical form, in bytes.
    pub max_recommended_actions_bytes: usize,
    /// Maximum number of cohort tags.
    pub max_cohort_tags: usize,
    /// Maximum size of `aggregated_metrics` in canonical form, in bytes.
    pub max_aggregated_metrics_bytes: usize,
}

impl ProfileLimits {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let count = |name: &str, range| keys.integer(&format!("profile.{name}"), range);
        Ok(Self {
            // A completion of 200 bytes can take a whole deadline out of a profile and bring another in. So the size of
            // a deadline bounds how many bytes are stored for each byte posted, and must not grow.
            max_string_chars: count("max_string_chars", 16..=128)?,
            max_id_chars: count("max_id_chars", 16..=64)?,
            max_description_chars: count("max_description_chars", 16..=512)?,
            max_schemes: count("max_schemes", 1..=1_024)?,
            max_eligibility_batch_bytes: count("max_eligibility_batch_bytes", 1_024..=262_144)?,
            max_matched_rules: count("max_matched_rules", 1..=256)?,
            max_predicted_events: count("max_predicted_events", 1..=256)?,
            max_predicted_events_bytes: count("max_predicted_events_bytes", 1_024..=65_536)?,
            max_recommended_actions: count("max_recommended_actions", 1..=256)?,
            max_recommended_actions_bytes: count("max_recommended_actions_bytes", 1_024..=65_536)?,
            max_cohort_tags: count("max_cohort_tags", 1..=256)?,
            max_aggregated_metrics_bytes: count("max_aggregated_metrics_bytes", 64..=16_384)?,
        })
    }
}
