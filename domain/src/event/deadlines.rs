//! `deadline.detected` and `deadline.completed`: one deadline's details, and when it was done.

use super::check::{self, Members};
use super::draft::{Draft, find};
use super::shape::DEADLINE;
use super::{EventFault, EventProblem, Location, RegisterPath, time};
use crate::canonical::CanonicalJson;
use crate::day::format_instant;
use crate::json::Json;

/// Reads the event's data, which is the deadline.
pub(super) fn read_detected(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    let mut out = String::with_capacity(192);
    let written = check::write_item(&DEADLINE, data, at, draft.rules, &mut out);
    if draft.accept(written).is_some() {
        let id = find(data, "deadline_id").and_then(Json::as_str).unwrap_or_default();
        draft.write(RegisterPath::DeadlineDetails(id.into()), CanonicalJson::from_canonical(out));
    }
}

pub(super) fn read_completed(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, _) in data.iter().filter(|(name, _)| name != "deadline_id" && name != "completed_at") {
        draft.refuse(name, &at.member(name));
    }
    let Some(id) = find(data, "deadline_id") else { return draft.missing(at, "deadline_id") };
    let Some(completed_at) = find(data, "completed_at") else { return draft.missing(at, "completed_at") };
    let Some(id) = draft.accept(check::item_id(id, draft.rules.limits.id_chars, &at.member("deadline_id"))) else {
        return;
    };
    let path = RegisterPath::DeadlineCompletion(id.into());
    if *completed_at == Json::Null {
        return draft.withdraw(path);
    }
    if let Some(micros) = draft.accept(completion_time(completed_at, &at.member("completed_at"))) {
        // The same instant in another zone must be the same value.
        draft.write(path, CanonicalJson::string(&format_instant(micros)));
    }
}

fn completion_time(value: &Json<'_>, at: &Location<'_>) -> Result<i64, EventFault> {
    let text = check::string(value, at)?;
    time::parse_micros(text).ok_or_else(|| EventFault::new(EventProblem::InvalidTime, at, "must be an RFC 3339 time"))
}
