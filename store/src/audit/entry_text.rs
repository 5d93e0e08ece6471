//! An entry as a line of a segment: a canonical JSON object (RFC 8785).
//!
//! The member `chain` is HMAC-SHA-256(chain key, the chain value before ‖ the line without that member), in hex. The leaf of
//! the Merkle log is the whole line, without the line break.

use domain::canonical::{write_integer, write_string};
use domain::day::format_instant;
use domain::port::audit::{AuditActor, AuditEntry, AuditValue};
use domain::sensitive;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::keys::AuditKeys;

/// The format of entries.
pub(super) const ENTRY_FORMAT: i64 = 1;
/// Bytes of a chain value.
pub(super) const CHAIN_BYTES: usize = 32;
const CHAIN_MEMBER: &str = ",\"chain\":\"";
/// Bytes of the member `chain` in a line: with its comma, its name, its quotes and 64 digits.
const CHAIN_MEMBER_BYTES: usize = CHAIN_MEMBER.len() + 2 * CHAIN_BYTES + 1;

/// A value of a chain.
pub(super) type ChainValue = [u8; CHAIN_BYTES];

/// The chain value before the first entry of a category.
pub(super) const CHAIN_START: ChainValue = [0; CHAIN_BYTES];

/// Where an entry stands in its category.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The entry's number, from 1.
    pub(super) seq: u64,
    /// Microseconds since the Unix epoch.
    pub(super) time: i64,
    /// The chain value of the entry before.
    pub(super) previous: ChainValue,
}

/// Appends the line of an entry, without a line break, and returns its chain value.
pub(super) fn write_line(out: &mut String, entry: &AuditEntry, place: Place, keys: &AuditKeys) -> ChainValue {
    let mut members = members(entry, place, keys);
    members.sort_unstable_by_key(|(name, _)| *name);
    let (mut before, mut after) = (String::with_capacity(256), String::with_capacity(256));
    for (index, (name, value)) in members.iter().enumerate() {
        let text = if *name < "chain" { &mut before } else { &mut after };
        text.push(if index == 0 { '{' } else { ',' });
        write_string(text, name);
        text.push(':');
        text.push_str(value);
    }
    after.push('}');
    let chain = next_value(keys.chain_key(), &place.previous, &before, &after);
    out.push_str(&before);
    out.push_str(CHAIN_MEMBER);
    out.push_str(&hex::encode(chain));
    out.push('"');
    out.push_str(&after);
    chain
}

/// Returns the members of an entry but `chain`, in no order.
fn members(entry: &AuditEntry, place: Place, keys: &AuditKeys) -> Vec<(&'static str, String)> {
    let mut members = vec![
        ("action", string(entry.action)),
        ("actor", string(&actor_text(&entry.actor, keys))),
        ("category", string(entry.category.name())),
        ("decision", string(entry.decision.name())),
        ("format", integer(ENTRY_FORMAT)),
        ("seq", integer(i64::try_from(place.seq).unwrap_or(i64::MAX))),
        ("tenant", integer(i64::from(entry.tenant))),
        ("time", string(&format_instant(place.time))),
    ];
    if let Some(user) = &entry.subject {
        members.push(("subject", string(&keys.subject_hash(user).to_hex())));
    }
    if let Some(generation) = entry.generation {
        members.push(("generation", integer(i64::from(generation))));
    }
    if !entry.fields.is_empty() {
        let paths: Vec<String> = entry.fields.iter().map(|leaf| string(leaf.field().path)).collect();
        members.push(("fields", format!("[{}]", paths.join(","))));
    }
    let texts = [("reason", &entry.reason), ("purpose", &entry.purpose), ("request_id", &entry.request_id)];
    for (name, text) in texts {
        members.extend(text.as_ref().map(|text| (name, string(&without_personal_data(text)))));
    }
    for member in &entry.members {
        let value = match &member.value {
            AuditValue::Integer(value) => integer(*value),
            AuditValue::Bool(value) => value.to_string(),
            AuditValue::Address(address) => string(&address.to_string()),
            AuditValue::Digest(digest) => string(&hex::encode(digest)),
            AuditValue::Text(text) => string(&without_personal_data(text)),
        };
        // A name that an entry has already would make two members of that name.
        if member.name != "chain" && members.iter().all(|(name, _)| *name != member.name) {
            members.push((member.name, value));
        }
    }
    members
}

/// Returns the text by which an actor is recorded.
pub(super) fn actor_text(actor: &AuditActor, keys: &AuditKeys) -> String {
    match actor {
        AuditActor::System => "system".to_owned(),
        AuditActor::Anonymous => "anonymous".to_owned(),
        AuditActor::Citizen(user) => format!("user:{}", keys.subject_hash(user).to_hex()),
        AuditActor::Caller(name) => without_personal_data(name),
    }
}

/// Returns the text with everything replaced that must not appear in a log.
fn without_personal_data(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for span in sensitive::find(text) {
        if span.range.start >= end {
            clean.push_str(&text[end..span.range.start]);
            clean.push('[');
            clean.push_str(span.kind.name());
            clean.push(']');
        }
        end = end.max(span.range.end);
    }
    clean.push_str(&text[end..]);
    clean
}

fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

fn integer(value: i64) -> String {
    let mut out = String::new();
    write_integer(&mut out, value);
    out
}

/// Returns the chain value of a line that consists of `before`, the member `chain` and `after`.
fn next_value(key: &Hmac<Sha256>, previous: &ChainValue, before: &str, after: &str) -> ChainValue {
    let mut mac = key.clone();
    mac.update(previous);
    mac.update(before.as_bytes());
    mac.update(after.as_bytes());
    mac.finalize().into_bytes().into()
}

/// A line that was divided at its member `chain`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainedLine<'a> {
    before: &'a str,
    after: &'a str,
    /// The chain value that the line states.
    pub(super) chain: ChainValue,
}

impl<'a> ChainedLine<'a> {
    /// Divides a line; `None` if it has no chain value.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        // Inside a string a quote is escaped, so this text occurs only as the member of that name.
        let at = line.find(CHAIN_MEMBER)?;
        let after = line.get(at + CHAIN_MEMBER_BYTES..)?;
        let digits = line.get(at + CHAIN_MEMBER.len()..at + CHAIN_MEMBER_BYTES - 1)?;
        let mut chain = CHAIN_START;
        hex::decode_to_slice(digits, &mut chain).ok()?;
        let is_lower = digits.bytes().all(|byte| !byte.is_ascii_uppercase());
        (is_lower && line.as_bytes()[at + CHAIN_MEMBER_BYTES - 1] == b'"').then_some(Self {
            before: &line[..at],
            after,
            chain,
        })
    }

    /// Returns whether the stated chain value is the one that follows `previous`.
    pub(super) fn follows(&self, key: &Hmac<Sha256>, previous: &ChainValue) -> bool {
        let mut mac = key.clone();
        mac.update(previous);
        mac.update(self.before.as_bytes());
        mac.update(self.after.as_bytes());
        mac.verify_slice(&self.chain).is_ok()
    }
}

#[cfg(test)]
mod tests;
