//! What the log itself needs to know about a line.

use domain::event::time::parse_micros;
use domain::json;
use domain::port::audit::AuditCategory;

use super::entry_text::{ChainedLine, ENTRY_FORMAT};

/// An entry that was read from a segment.
#[derive(Debug, Clone)]
pub(super) struct ParsedLine<'a> {
    pub(super) category: AuditCategory,
    pub(super) seq: u64,
    /// Microseconds since the Unix epoch.
    pub(super) time: i64,
    /// The subject hash in hex.
    pub(super) subject: Option<String>,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) chained: ChainedLine<'a>,
}

impl<'a> ParsedLine<'a> {
    /// Parses a line; `None` if it is not an entry of this format in canonical form.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let object = json::parse(line.as_bytes(), 4).ok()?;
        let text = |name: &str| object.get(name).and_then(|value| value.as_str());
        if object.get("format")?.as_i64()? != ENTRY_FORMAT {
            return None;
        }
        let parsed = Self {
            category: AuditCategory::parse(text("category")?)?,
            seq: u64::try_from(object.get("seq")?.as_i64()?).ok()?,
            time: parse_micros(text("time")?)?,
            subject: text("subject").map(str::to_owned),
            actor: text("actor")?.to_owned(),
            action: text("action")?.to_owned(),
            chained: ChainedLine::parse(line)?,
        };
        let mut canonical = String::with_capacity(line.len());
        object.write_canonical(&mut canonical);
        (canonical == line).then_some(parsed)
    }

    /// Returns the bytes by which an index finds the subject.
    pub(super) fn subject_prefix(&self) -> Option<u64> {
        self.subject.as_deref().and_then(|subject| u64::from_str_radix(subject.get(..16)?, 16).ok())
    }
}
