//! The envelope: CloudEvents 1.0 in its JSON form.

use super::check::{self, Members};
use super::{EventFault, EventProblem, FeedEventType, Location, time};
use crate::id::UserId;
use crate::json::Json;
use crate::rules::Limits;
use crate::source::{Source, ValueKind};

/// Characters of an event's id.
pub(crate) const ID_CHARS: usize = 128;

/// Maximum number of characters of `source`.
const SOURCE_CHARS: usize = 256;

/// An event's envelope, checked.
pub(crate) struct EventEnvelope<'e, 'j> {
    pub(crate) id: &'e str,
    pub(crate) event_type: FeedEventType,
    pub(crate) user: UserId,
    pub(crate) time: i64,
    pub(crate) kind: ValueKind,
    pub(crate) data: &'e Members<'j>,
}

/// The attributes of an event by name, `null` read as absent (CloudEvents JSON format §2.3).
struct Attributes<'e, 'j> {
    members: &'e Members<'j>,
    faults: Vec<EventFault>,
}

impl<'e, 'j> EventEnvelope<'e, 'j> {
    /// Reads the envelope of an event that was posted to the path of `posted_to`.
    pub(crate) fn read(
        event: &'e Json<'j>,
        posted_to: Source,
        limits: &Limits,
        now_micros: i64,
    ) -> Result<Self, Vec<EventFault>> {
        let members = check::object(event, &Location::ROOT).map_err(|fault| vec![fault])?;
        let mut attributes = Attributes { members, faults: Vec::new() };
        attributes.check_names();
        attributes.required("specversion", specversion);
        let id = attributes.required("id", id);
        attributes.required("source", |value, at| source(value, posted_to, at));
        let event_type = attributes.required("type", |value, at| event_type(value, posted_to, at));
        let user = attributes.required("subject", subject);
        let time = attributes.required("time", |value, at| observed_at(value, limits, now_micros, at));
        attributes.optional("datacontenttype", content_type);
        let kind = attributes.optional("kind", |value, at| kind(value, posted_to, at));
        let data = attributes.required("data", check::object);
        let kind = kind.unwrap_or(posted_to.kinds()[0]);
        match (id, event_type, user, time, data) {
            (Some(id), Some(event_type), Some(user), Some(time), Some(data)) if attributes.faults.is_empty() => {
                Ok(Self { id, event_type, user, time, kind, data })
            }
            _ => Err(attributes.faults),
        }
    }
}

impl<'e, 'j> Attributes<'e, 'j> {
    fn required<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'e Json<'j>, &Location<'_>) -> Result<T, EventFault>,
    ) -> Option<T> {
        if !self.members.iter().any(|(member, value)| member == name && *value != Json::Null) {
            self.faults.push(EventFault::new(
                EventProblem::MissingMember,
                &Location::ROOT.member(name),
                "must be there",
            ));
        }
        self.optional(name, check)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'e Json<'j>, &Location<'_>) -> Result<T, EventFault>,
    ) -> Option<T> {
        let (_, value) = self.members.iter().find(|(member, value)| member == name && *value != Json::Null)?;
        check(value, &Location::ROOT.member(name)).map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Extensions are ignored, as long as their names are legal: lower-case letters and digits.
    fn check_names(&mut self) {
        for (name, _) in self.members {
            let at = Location::ROOT.member(name);
            if name == "data_base64" {
                let detail = "cannot be read: send JSON as `data`";
                self.faults.push(EventFault::new(EventProblem::UnsupportedContentType, &at, detail));
            } else if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
                let detail = "an attribute's name must match `^[a-z0-9]+$`";
                self.faults.push(EventFault::new(EventProblem::InvalidAttributeName, &at, detail));
            }
            if !self.faults.is_empty() {
                break;
            }
        }
    }
}

fn specversion(value: &Json<'_>, at: &Location<'_>) -> Result<(), EventFault> {
    if check::string(value, at)? == "1.0" {
        return Ok(());
    }
    Err(EventFault::new(EventProblem::UnsupportedSpecversion, at, "must be `1.0`"))
}

fn id<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let id = check::clean(value, ID_CHARS, at)?;
    check::check_id_not_red(id, at)?;
    Ok(id)
}

fn source(value: &Json<'_>, posted_to: Source, at: &Location<'_>) -> Result<(), EventFault> {
    let text = check::uri_reference(value, SOURCE_CHARS, at)?;
    if last_segment(text) != posted_to.name() {
        let detail = format!("its last path segment must be `{}`, as in the request's path", posted_to.name());
        return Err(EventFault::new(EventProblem::SourceMismatch, at, detail));
    }
    Ok(())
}

/// Returns the last segment of a URI reference's path (RFC 3986 §3).
fn last_segment(reference: &str) -> &str {
    let hierarchy = reference.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = match hierarchy.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => rest,
        _ => hierarchy,
    };
    let path = match after_scheme.strip_prefix("//") {
        Some(authority) => authority.split_once('/').map_or("", |(_, path)| path),
        None => after_scheme,
    };
    path.rsplit('/').next().unwrap_or_default()
}

fn event_type(value: &Json<'_>, posted_to: Source, at: &Location<'_>) -> Result<FeedEventType, EventFault> {
    let Some(event_type) = FeedEventType::parse(check::string(value, at)?) else {
        return Err(EventFault::new(EventProblem::UnknownType, at, "is not a feed event type"));
    };
    if event_type.source() != posted_to {
        let detail = format!("only the source `{}` may send this type", event_type.source().name());
        return Err(EventFault::new(EventProblem::WrongSource, at, detail));
    }
    Ok(event_type)
}

fn subject(value: &Json<'_>, at: &Location<'_>) -> Result<UserId, EventFault> {
    let text = check::string(value, at)?;
    let user = UserId::parse(text).map_err(|error| {
        EventFault::new(EventProblem::InvalidSubject, at, format!("must match `{}`", error.expected))
    })?;
    check::check_id_not_red(text, at)?;
    Ok(user)
}

fn observed_at(value: &Json<'_>, limits: &Limits, now_micros: i64, at: &Location<'_>) -> Result<i64, EventFault> {
    let Some(micros) = time::parse_micros(check::string(value, at)?) else {
        return Err(EventFault::new(EventProblem::InvalidTime, at, "must be an RFC 3339 time"));
    };
    if micros < time::YEAR_2000 {
        return Err(EventFault::new(EventProblem::TimeTooOld, at, "must not be before 2000-01-01T00:00:00Z"));
    }
    let tolerance = limits.future_tolerance_micros;
    if micros > now_micros.saturating_add(tolerance) {
        let detail = format!("must be at most {} seconds ahead of the server's clock", tolerance / 1_000_000);
        return Err(EventFault::new(EventProblem::TimeInFuture, at, detail));
    }
    Ok(micros)
}

/// Checks that the value is `application/json`, or any media type with the suffix `+json`.
fn content_type(value: &Json<'_>, at: &Location<'_>) -> Result<(), EventFault> {
    let text = check::string(value, at)?;
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.split_once('/').map_or("", |(_, subtype)| subtype);
    if subtype == "json" || subtype.ends_with("+json") {
        return Ok(());
    }
    Err(EventFault::new(EventProblem::UnsupportedContentType, at, "must be `application/json`"))
}

fn kind(value: &Json<'_>, posted_to: Source, at: &Location<'_>) -> Result<ValueKind, EventFault> {
    let Some(kind) = ValueKind::parse(check::string(value, at)?) else {
        let detail = "must be one of `verified`, `user_provided`, `inferred`";
        return Err(EventFault::new(EventProblem::UnknownValue, at, detail));
    };
    if !posted_to.kinds().contains(&kind) {
        let detail = format!("the source `{}` may not claim this kind", posted_to.name());
        return Err(EventFault::new(EventProblem::KindNotAllowed, at, detail));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_that_of_the_path() {
        for (reference, segment) in [
            ("/engines/identity", "identity"),
            ("identity", "identity"),
            ("https://engines.example:8443/v1/identity?x=/a#/b", "identity"),
            ("//identity", ""),
            ("https://identity", ""),
            ("/engines/identity/", ""),
            ("urn:engines:identity", "engines:identity"),
            ("/a:b/identity", "identity"),
            ("?identity", ""),
        ] {
            assert_eq!(last_segment(reference), segment, "{reference}");
        }
    }
}
