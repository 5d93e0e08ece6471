//! What assembly depends on: the calendar and the bounds of what events may say.

use std::time::Duration;

use domain::event::time::parse_micros;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{DAY_S, MIB};
use crate::Error;
use crate::keys::Keys;

/// `[time]`: the calendar and the clock.
#[derive(Debug, Clone)]
pub struct Time {
    /// The zone whose calendar day decides all values that depend on the day.
    pub zone: TimeZone,
    /// How far ahead an event's time may lie.
    pub future_tolerance: Duration,
    /// The instant at which assembly stands still; development only.
    pub fixed_clock: Option<Timestamp>,
}

impl Time {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
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

/// The instant of an RFC 3339 time.
fn instant(text: &str) -> Option<Timestamp> {
    parse_micros(text).and_then(|micros| Timestamp::from_microsecond(micros).ok())
}

/// `[profile]`: bounds on what an event may say.
#[derive(Debug, Clone)]
pub struct ProfileLimits {
    /// Characters of a string.
    pub max_string_chars: usize,
    /// Characters of a deadline's description.
    pub max_description_chars: usize,
    /// Schemes in a batch.
    pub max_schemes: usize,
    /// Matched rules of a scheme.
    pub max_matched_rules: usize,
    /// Predicted events.
    pub max_predicted_events: usize,
    /// Recommended actions.
    pub max_recommended_actions: usize,
    /// Cohort tags.
    pub max_cohort_tags: usize,
    /// `aggregated_metrics` in its canonical form.
    pub max_aggregated_metrics_bytes: usize,
}

impl ProfileLimits {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let count = |name: &str, range| keys.integer(&format!("profile.{name}"), range);
        Ok(Self {
            max_string_chars: count("max_string_chars", 16..=65_536)?,
            max_description_chars: count("max_description_chars", 16..=65_536)?,
            max_schemes: count("max_schemes", 1..=4_096)?,
            max_matched_rules: count("max_matched_rules", 1..=4_096)?,
            max_predicted_events: count("max_predicted_events", 1..=4_096)?,
            max_recommended_actions: count("max_recommended_actions", 1..=4_096)?,
            max_cohort_tags: count("max_cohort_tags", 1..=4_096)?,
            max_aggregated_metrics_bytes: count("max_aggregated_metrics_bytes", 64..=MIB)?,
        })
    }
}
