//! The two formats of an event stream.

use actix_web::http::header::HeaderMap;
use actors::follower::EventBatch;
use bytes::Bytes;
use serde::Serialize;

use crate::http::problem::Problem;
use crate::http::request::event_stream::EVENT_STREAM;
use crate::http::request::headers::accept::{self, ServedType};
use crate::json_text;

/// A heartbeat in NDJSON.
#[derive(Serialize)]
struct CursorLine<'a> {
    cursor: &'a str,
}

const NDJSON: &str = "application/x-ndjson";
const SERVED: &[&str] = &[EVENT_STREAM, NDJSON];
const SERVED_TYPES: [ServedType; 2] = [ServedType::new(EVENT_STREAM), ServedType::new(NDJSON)];

/// The format in which events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamFormat {
    /// Server-Sent Events (WHATWG HTML, section 9.2), with the cursor as `id`.
    Sse,
    /// NDJSON: one CloudEvent per line, and lines with only a cursor as heartbeats.
    Ndjson,
}

impl StreamFormat {
    /// Returns the format that the caller prefers; Server-Sent Events without a preference.
    ///
    /// # Errors
    /// The caller accepts neither format.
    pub(super) fn negotiate(headers: &HeaderMap) -> Result<Self, Problem> {
        match accept::choose(headers, &SERVED_TYPES) {
            Some(0) => Ok(Self::Sse),
            Some(_) => Ok(Self::Ndjson),
            None => Err(Problem::not_acceptable("`served` lists the media types of the stream", SERVED)),
        }
    }

    /// Returns the media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Sse => EVENT_STREAM,
            Self::Ndjson => NDJSON,
        }
    }

    /// Writes events.
    pub(super) fn events(self, batch: &EventBatch) -> Bytes {
        let mut out = String::with_capacity(batch.events.iter().map(|event| event.text.len() + 200).sum());
        for event in &batch.events {
            if self == Self::Sse {
                out.push_str("id: ");
                out.push_str(&event.cursor);
                out.push_str("\nevent: ");
                out.push_str(event.kind.name());
                out.push_str("\ndata: ");
            }
            // Canonical JSON has no line breaks.
            out.push_str(&event.text);
            out.push_str(if self == Self::Sse { "\n\n" } else { "\n" });
        }
        out.into()
    }

    /// Writes a heartbeat with the current cursor. For a client of Server-Sent Events it is no event.
    pub(super) fn heartbeat(self, cursor: &str) -> Bytes {
        match self {
            Self::Sse => format!(": alive\nid: {cursor}\n\n"),
            Self::Ndjson => json_text::to_text(&CursorLine { cursor }) + "\n",
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{self, HeaderValue};

    use super::*;

    #[test]
    fn the_format_with_the_greatest_weight_is_chosen() {
        for (accept, format) in [
            ("text/event-stream", Some(StreamFormat::Sse)),
            ("application/x-ndjson", Some(StreamFormat::Ndjson)),
            ("text/html, Application/X-NDJSON;q=0.9, */*;q=0.1", Some(StreamFormat::Ndjson)),
            ("text/event-stream;q=0, application/x-ndjson", Some(StreamFormat::Ndjson)),
            ("*/*;q=0.1, application/x-ndjson", Some(StreamFormat::Ndjson)),
            ("text/event-stream;q=0", None),
            ("*/*", Some(StreamFormat::Sse)),
            ("", Some(StreamFormat::Sse)),
            ("application/json", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(StreamFormat::negotiate(&headers).ok(), format, "{accept}");
        }
        assert_eq!(StreamFormat::negotiate(&HeaderMap::new()).ok(), Some(StreamFormat::Sse));
    }
}
