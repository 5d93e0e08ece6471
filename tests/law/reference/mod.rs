//! The reference for the law "assembly is order-free": a slow function from a list of events to the whole profile.
//!
//! It was written from the specification alone, on JSON values. It shares no code with the merge, keeps no state between
//! calls and has no optimisation: every rule is a loop over all registers.
//!
//! Where the specification is open to interpretation, the reference does this:
//!
//! 1. The `source` of a stamp is the engine's name, the last path segment of the event's `source`.
//! 2. Observed times are truncated to microseconds, not rounded.
//! 3. The value whose hash enters the stamp is the one that the register keeps: sets sorted and without repeats, a batch
//!    sorted by `scheme_id`, details as they were sent, a completion as its `completed_at` in UTC to the microsecond, an
//!    overlay as its status, `null` where it was withdrawn.
//! 4. Where a bound falls between equal stamps of one family, the greater ids are kept.
//! 5. `address: null` withdraws the three members that an address has.
//! 6. A district is left out if no state wins; a section in which only such a district would remain is absent.
//! 7. `deadlines` has both lists, even if empty, once there is any deadline register; `eligible_schemes` may be empty.
//! 8. An overdue deadline is left out from the 365th day after its due date.
//! 9. The maximum of 256 deadlines counts both lists together.
//! 10. `source_trace` entries sent by the trust source are shown even if the named source has sent nothing.
//! 11. A leaf that is present and does not apply is left out of both weights of the completeness.

mod completeness;
mod deadlines;
mod derived;
mod registers;
mod sections;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use registers::Registers;

/// What a profile depends on, apart from events and day.
pub(crate) struct Fixture {
    /// The configured time zone.
    pub(crate) zone: TimeZone,
    /// State slug to the slugs of its districts.
    pub(crate) districts: BTreeMap<String, BTreeSet<String>>,
}

/// Returns the profile (envelope aside) that all accepted `events` of one user give on `day`; `None` without any event.
pub(crate) fn profile(events: &[Value], day: Date, fixture: &Fixture) -> Option<Value> {
    if events.is_empty() {
        return None;
    }
    let registers = Registers::from_events(events);
    let mut profile = Map::new();
    let mut put = |member: &str, value: Option<Value>| {
        if let Some(value) = value {
            profile.insert(member.to_owned(), value);
        }
    };
    put("identity_token", registers.winning_value("identity_token"));
    put("identity", sections::plain(&registers, "identity"));
    put("demographics", sections::demographics(&registers, fixture));
    put("economic", sections::plain(&registers, "economic"));
    put("family", sections::plain(&registers, "family"));
    put("eligibility", sections::eligibility(&registers));
    put("deadlines", deadlines::section(&registers, day, fixture));
    put("risk_scores", sections::risk_scores(&registers));
    put("predictions", sections::predictions(&registers));
    put("trust", derived::trust(&registers, day, fixture));
    put("cohort_tags", registers.winning_value("cohort_tags"));
    put("consent", derived::consent(&registers));
    let pct = completeness::percentage(&profile);
    profile.insert("profile_completeness_pct".to_owned(), json!(pct));
    Some(Value::Object(profile))
}
