mod accepted;
mod class_red;
mod data;
mod envelope;
mod limits;
mod property;
mod rejection;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::*;

/// 2026-01-21T12:00:00Z.
const NOW: i64 = 1_768_996_800_000_000;

const EXAMPLES: &str = include_str!("../../../../data/example/events.ndjson");

fn rules() -> Rules {
    Rules {
        zone: TimeZone::UTC,
        districts: [("karnataka".to_owned(), Default::default()), ("goa".to_owned(), Default::default())].into(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    }
}

/// Returns an event of that type from its own source.
fn event(event_type: FeedEventType, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": "evt-1",
        "source": format!("/engines/{}", event_type.source().name()),
        "type": event_type.name(),
        "subject": "usr_7Qm2Xr9TzKpA",
        "time": "2026-01-10T06:00:00.123456Z",
        "data": data,
    })
}

/// Posts an event to the path of its type's source.
fn post(event_type: FeedEventType, event: &Value) -> Result<FeedEvent, Rejection> {
    validate(event.to_string().as_bytes(), event_type.source(), &rules(), NOW)
}

#[track_caller]
fn assert_refused(result: Result<FeedEvent, Rejection>, problem: EventProblem, pointer: &str) -> Rejection {
    let rejection = result.expect_err("the event is refused");
    let at = (rejection.problem().name(), rejection.pointer());
    assert_eq!(at, (problem.name(), Some(pointer)), "{rejection}");
    rejection
}
