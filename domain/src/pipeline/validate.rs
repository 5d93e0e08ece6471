//! Stage 1, validate: turns bytes into a feed event, or into a rejection that names the faults and their positions.
//!
//! It runs on the HTTP worker, before an actor is asked, and depends on nothing but the bytes, the rules and the time.

mod rejection;

pub use rejection::Rejection;

use crate::event::draft::Draft;
use crate::event::envelope::EventEnvelope;
use crate::event::{EventFault, EventProblem, FeedEvent, FeedEventType, Location, check, read_data};
use crate::id::UserId;
use crate::json::{self, Json};
use crate::rules::Rules;
use crate::source::{Source, ValueKind};

/// Validates one event in the JSON form of CloudEvents 1.0 that was posted to the path of `posted_to`.
/// `now_micros` is the clock's reading in microseconds since the Unix epoch.
///
/// # Errors
/// The rejection names the faults and their positions, several where they are cheap to find, and never repeats a value.
pub fn validate(bytes: &[u8], posted_to: Source, rules: &Rules, now_micros: i64) -> Result<FeedEvent, Rejection> {
    match json::parse(bytes, rules.limits.json_depth) {
        Ok(event) => validate_json(&event, posted_to, rules, now_micros),
        Err(error) => Err(Rejection::unreadable(error, bytes)),
    }
}

/// Validates one event that has been read already.
///
/// # Errors
/// As [`validate`].
pub fn validate_json(
    event: &Json<'_>,
    posted_to: Source,
    rules: &Rules,
    now_micros: i64,
) -> Result<FeedEvent, Rejection> {
    let reject = |faults| Rejection::for_event(faults, event);
    let envelope = EventEnvelope::read(event, posted_to, &rules.limits, now_micros).map_err(reject)?;
    let EventEnvelope { id, event_type, user, time, kind, data } = envelope;
    let draft = drafted(event_type, kind, data, &Location::ROOT.member("data"), rules).map_err(reject)?;
    let Draft { registration, writes, .. } = draft;
    Ok(FeedEvent { id: id.into(), source: posted_to, user, time, person: None, registration, writes })
}

/// Validates one event of a what-if about `user`. It may be of any feed: its type names the source.
///
/// # Errors
/// As [`validate`]; also if the event is about another user.
pub fn validate_hypothetical(
    event: &Json<'_>,
    user: &UserId,
    rules: &Rules,
    now_micros: i64,
) -> Result<FeedEvent, Rejection> {
    let event_type = event.get("type").and_then(Json::as_str).and_then(FeedEventType::parse);
    // An unknown type is refused whatever the source is.
    let source = event_type.map_or(Source::SelfEdit, FeedEventType::source);
    let validated = validate_json(event, source, rules, now_micros)?;
    if validated.user == *user {
        return Ok(validated);
    }
    let (at, detail) = (Location::ROOT.member("subject"), "must be the user of the path");
    Err(Rejection::for_event(vec![EventFault::new(EventProblem::InvalidSubject, &at, detail)], event))
}

/// Creates a consent event from the `data` of a request, with the checks that a feed's event passes. JSON Pointers of
/// its rejections are relative to `data`. `id` and `time` are the server's.
///
/// # Errors
/// As [`validate`].
pub fn validate_consent_put(
    data: &[u8],
    event_type: FeedEventType,
    id: &str,
    user: UserId,
    time: i64,
    rules: &Rules,
) -> Result<FeedEvent, Rejection> {
    let data = json::parse(data, rules.limits.json_depth).map_err(|error| Rejection::unreadable(error, data))?;
    let reject = |faults| Rejection::for_event(faults, &data);
    let members = check::object(&data, &Location::ROOT).map_err(|fault| reject(vec![fault]))?;
    let source = event_type.source();
    let Draft { registration, writes, .. } =
        drafted(event_type, source.kinds()[0], members, &Location::ROOT, rules).map_err(reject)?;
    let person = Some(user.as_str().into());
    Ok(FeedEvent { id: id.into(), source, user, time, person, registration, writes })
}

fn drafted<'r>(
    event_type: FeedEventType,
    kind: ValueKind,
    data: &check::Members<'_>,
    at: &Location<'_>,
    rules: &'r Rules,
) -> Result<Draft<'r>, Vec<EventFault>> {
    let mut draft = Draft::new(event_type.source(), kind, rules);
    read_data(event_type, data, at, &mut draft);
    if draft.writes.is_empty() && draft.faults.is_empty() {
        draft.fault(EventFault::new(EventProblem::NothingSaid, at, "holds no value"));
    }
    if draft.faults.is_empty() { Ok(draft) } else { Err(draft.faults) }
}

#[cfg(test)]
mod tests;
