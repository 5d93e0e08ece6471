//! What is left of a segment that was removed for its age: a signed line, over which the chain can still be followed.
//!
//! The signature is over the text `profile-server audit stub 1`, a line break, and the object without its member
//! `signature`. The leaves of removed compliance entries stay in the tree.

use domain::canonical::{write_integer, write_string};
use domain::day::format_instant;
use domain::event::time::parse_micros;
use domain::json;
use domain::port::audit::AuditCategory;
use ed25519_dalek::{Signature, VerifyingKey};

use super::keys::AuditKeys;
use super::month::Month;
use super::segment_header::SegmentHeader;
use super::tree_head::{ChainHead, log_id};

const CONTEXT: &str = "profile-server audit stub 1\n";
const STUB_FORMAT: i64 = 1;

/// The content of a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) header: SegmentHeader,
    /// Where the segment ended.
    pub(super) last: ChainHead,
    /// When the segment was removed, in microseconds since the Unix epoch.
    pub(super) removed_at: i64,
}

impl Stub {
    /// Returns the signed line, with its line break.
    pub(super) fn sign(&self, keys: &AuditKeys) -> String {
        let log = log_id(&keys.public_key());
        let signature = hex::encode(keys.sign(&self.message(&log)));
        format!("{}\n", self.to_json(&log, Some(&signature)))
    }

    /// Parses a line without its line break and checks its signature; `None` if either fails.
    pub(super) fn verify(line: &str, public_key: &VerifyingKey) -> Option<Self> {
        let object = json::parse(line.as_bytes(), 2).ok()?;
        let text = |name: &str| object.get(name).and_then(|value| value.as_str());
        let count = |name: &str| object.get(name).and_then(|value| u64::try_from(value.as_i64()?).ok());
        let hash = |name: &str| {
            let mut value = [0; 32];
            hex::decode_to_slice(text(name)?, &mut value).ok()?;
            Some(value)
        };
        let stub = Self {
            header: SegmentHeader {
                category: AuditCategory::parse(text("category")?)?,
                month: Month::parse(text("month")?)?,
                first_seq: count("first_seq").filter(|first| *first > 0)?,
                previous_chain: hash("previous_chain")?,
                previous_digest: hash("previous_digest")?,
            },
            last: ChainHead { count: count("last_seq")?, chain: hash("last_chain")?, digest: hash("last_digest")? },
            removed_at: parse_micros(text("removed_at")?)?,
        };
        let (log, signature) = (log_id(public_key.as_bytes()), text("signature")?);
        let bytes: [u8; 64] = hex::decode(signature).ok()?.try_into().ok()?;
        let is_signed = public_key.verify_strict(&stub.message(&log), &Signature::from_bytes(&bytes)).is_ok();
        (is_signed && stub.to_json(&log, Some(signature)) == line).then_some(stub)
    }

    fn message(&self, log: &str) -> Vec<u8> {
        [CONTEXT, &self.to_json(log, None)].concat().into_bytes()
    }

    fn to_json(self, log: &str, signature: Option<&str>) -> String {
        let integer = |value: u64| {
            let mut text = String::new();
            write_integer(&mut text, i64::try_from(value).unwrap_or(i64::MAX));
            text
        };
        let string = |value: &str| {
            let mut text = String::new();
            write_string(&mut text, value);
            text
        };
        let header = self.header;
        let mut members = vec![
            ("category", string(header.category.name())),
            ("first_seq", integer(header.first_seq)),
            ("format", integer(STUB_FORMAT as u64)),
            ("last_chain", string(&hex::encode(self.last.chain))),
            ("last_digest", string(&hex::encode(self.last.digest))),
            ("last_seq", integer(self.last.count)),
            ("log", string(log)),
            ("month", string(&header.month.to_string())),
            ("previous_chain", string(&hex::encode(header.previous_chain))),
            ("previous_digest", string(&hex::encode(header.previous_digest))),
            ("removed_at", string(&format_instant(self.removed_at))),
        ];
        members.extend(signature.map(|signature| ("signature", string(signature))));
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_reads_back_and_no_changed_one_does() {
        let keys = AuditKeys::from_keys([1; 32], &[1; 32], &[1; 32]);
        let month = Month::parse("2026-11").expect("a month");
        let category = AuditCategory::Security;
        let before = ChainHead { count: 4, chain: [1; 32], digest: [3; 32] };
        let header = SegmentHeader::after(before, category, month);
        let last = ChainHead { count: 9, chain: [2; 32], digest: [4; 32] };
        let stub = Stub { header, last, removed_at: 1_796_054_400_000_000 };
        let line = stub.sign(&keys);
        let line = line.trim_end();
        assert_eq!(Stub::verify(line, &keys.verifying_key()), Some(stub));
        for at in 0..line.len() {
            let mut changed = line.as_bytes().to_vec();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(Stub::verify(&changed, &keys.verifying_key()), None, "{changed}");
        }
    }
}
