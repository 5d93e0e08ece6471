//! Why an event was rejected, and what may be kept of it.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::event::envelope::ID_CHARS;
use crate::event::fault::MAX_REPORTED_FAULTS;
use crate::event::{EventFault, EventProblem, red};
use crate::id::UserId;
use crate::json::{Json, JsonError};
use crate::sensitive;

/// A rejected event: its faults, and its user if that could be read.
///
/// Nothing in it repeats a value of the event but the id, the type and the subject.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The first fault decides the problem type.
    faults: Vec<EventFault>,
    /// The event's id, where it could be read.
    pub event_id: Option<String>,
    /// The event's type, where it could be read.
    pub event_type: Option<String>,
    /// The user that the event is about, where it could be read.
    pub subject: Option<UserId>,
    /// Something in the event looks like class RED, or it could not be searched whole: its body must not be kept.
    pub red: bool,
}

impl Rejection {
    /// Returns the kind of the first fault.
    pub fn problem(&self) -> EventProblem {
        self.fault().problem
    }

    /// Returns the position of the first fault as a JSON Pointer; `None` where the text is not JSON.
    pub fn pointer(&self) -> Option<&str> {
        self.fault().pointer.as_deref()
    }

    /// Returns what would be accepted, without a value from the event.
    pub fn detail(&self) -> &str {
        &self.fault().detail
    }

    /// Returns at most 16 faults; the first decides the answer's status.
    pub fn faults(&self) -> &[EventFault] {
        &self.faults[..self.faults.len().min(MAX_REPORTED_FAULTS)]
    }

    /// Returns whether the event has more faults than [`Rejection::faults`] gives.
    pub fn has_more_faults(&self) -> bool {
        self.faults.len() > MAX_REPORTED_FAULTS
    }

    /// Returns the rejection with the positions of its faults in a list of events, of which this is the one at `index`.
    #[must_use]
    pub fn in_list(mut self, index: usize) -> Self {
        for fault in &mut self.faults {
            fault.pointer = Some(format!("/{index}{}", fault.pointer.as_deref().unwrap_or_default()));
        }
        self
    }

    /// Returns the rejection of an event of more than `limit` bytes, of which `head` was read.
    pub fn too_large(limit: usize, head: &[u8]) -> Self {
        let detail = format!("an event has at most {limit} bytes").into();
        let fault = EventFault { problem: EventProblem::EventTooLarge, pointer: None, detail };
        // What follows the head was not searched.
        Self { red: true, ..Self::for_text(fault, head) }
    }

    pub(super) fn unreadable(error: JsonError, bytes: &[u8]) -> Self {
        Self::for_text(EventFault::from_json(error), bytes)
    }

    pub(super) fn for_event(faults: Vec<EventFault>, event: &Json<'_>) -> Self {
        let text = |name| event.get(name).and_then(Json::as_str);
        let red = faults.iter().any(|fault| fault.problem == EventProblem::ClassRed) || red::in_event(event);
        Self {
            faults,
            event_id: text("id").and_then(keepable_id),
            event_type: text("type").and_then(keepable),
            subject: text("subject").and_then(|text| UserId::parse(text).ok()),
            red,
        }
    }

    fn for_text(fault: EventFault, bytes: &[u8]) -> Self {
        let mut head = ReadableAttributes::default();
        // The text is faulty somewhere; only the attributes before that can be known.
        let _ = (&mut serde_json::Deserializer::from_slice(bytes)).deserialize_map(&mut head);
        let red = red::may_hold_red(bytes);
        let ReadableAttributes { id, event_type, subject } = head;
        Self { faults: vec![fault], event_id: id, event_type, subject, red }
    }

    fn fault(&self) -> &EventFault {
        // Every constructor puts one in.
        &self.faults[0]
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event rejected as `{}`: {}", self.problem().name(), self.detail())
    }
}

impl std::error::Error for Rejection {}

/// Returns the id of a rejected event if it passes the check of ids, and so may be shown and kept.
fn keepable_id(id: &str) -> Option<String> {
    (is_short_and_visible(id) && !sensitive::in_id(id)).then(|| id.to_owned())
}

/// Returns text from a rejected event if it may be shown and kept.
fn keepable(text: &str) -> Option<String> {
    (is_short_and_visible(text) && !sensitive::in_text(text)).then(|| text.to_owned())
}

fn is_short_and_visible(text: &str) -> bool {
    text.chars().count() <= ID_CHARS && !text.chars().any(char::is_control)
}

/// The attributes that could be read from the beginning of a text.
#[derive(Default)]
struct ReadableAttributes {
    id: Option<String>,
    event_type: Option<String>,
    subject: Option<UserId>,
}

impl<'de> Visitor<'de> for &mut ReadableAttributes {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "id" => self.id = keepable_id(&members.next_value::<String>()?),
                "type" => self.event_type = keepable(&members.next_value::<String>()?),
                "subject" => self.subject = UserId::parse(&members.next_value::<String>()?).ok(),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
