//! The redaction layer, which replaces sensitive values in every log line of every crate.
//!
//! It works on finished lines, so no field, span or message can bypass it. It replaces the values that
//! `domain::sensitive` recognizes, and the values of fields with a sensitive name. A user id becomes a keyed hash.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use domain::sensitive::{self, SensitiveKind};
use domain::table::{Class, FIELDS};
use hmac::{Hmac, KeyInit, Mac};
use metrics::Counter;
use sha2::Sha256;

use super::metric;

/// Replaces sensitive values by the name of their kind.
pub(crate) struct Redactor {
    user_hash: UserHashKey,
    names: HashSet<&'static str>,
    found: [Counter; SensitiveKind::ALL.len()],
    found_fields: Counter,
}

/// The key of the hash that replaces user ids. It is stored with the data, so it is set when the store is open; until then
/// user ids are left out of the log.
#[derive(Clone, Default)]
pub(crate) struct UserHashKey(Arc<OnceLock<Hmac<Sha256>>>);

impl UserHashKey {
    /// Sets the key, once.
    pub(crate) fn set(&self, key: &[u8; 32]) {
        // HMAC pads a key that is shorter than its block with zeros.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        self.0.get_or_init(|| Hmac::new(&block.into()));
    }
}

/// Why a value is replaced.
#[derive(Debug, Clone, Copy)]
enum Reason {
    /// It looks like a sensitive value.
    Pattern(SensitiveKind),
    /// It is the value of a field with a sensitive name.
    Field,
}

/// Maximum number of times that the text between replacements is searched again.
const PASSES: usize = 3;

/// Maximum length of the field names that are looked up, in bytes.
const MAX_NAME: usize = 64;

impl Redactor {
    /// Returns a redactor whose hashes of user ids are keyed with `user_hash`.
    pub(crate) fn new(user_hash: UserHashKey) -> Self {
        let sensitive = FIELDS.iter().filter(|field| field.class == Class::Sensitive);
        let names = sensitive.map(|field| if field.name.is_empty() { field.path } else { field.name });
        Self {
            user_hash,
            names: names.chain(["authorization", "cookie", "password", "secret", "token", "ticket"]).collect(),
            found: SensitiveKind::ALL.map(|kind| metric::redactions(kind.name())),
            found_fields: metric::redactions("field"),
        }
    }

    /// Returns the line without its sensitive values.
    pub(crate) fn redact(&self, line: &str) -> String {
        let mut spans: Vec<(Range<usize>, Reason)> = Vec::new();
        self.named_values(line, |value| spans.push((value, Reason::Field)));
        let mut out = String::with_capacity(line.len() + 16);
        self.redact_part(line, spans, PASSES, &mut out);
        out
    }

    /// Replaces `spans`, and the sensitive values found in the text. The text between replacements is searched again,
    /// because a value may become recognizable when its surroundings are replaced. The number of passes is bounded, so
    /// the work stays linear.
    fn redact_part(&self, text: &str, mut spans: Vec<(Range<usize>, Reason)>, passes: usize, out: &mut String) {
        if passes > 0 {
            spans.extend(sensitive::find(text).into_iter().map(|span| (span.range, Reason::Pattern(span.kind))));
        }
        if spans.is_empty() {
            return out.push_str(text);
        }
        // At the same start the longest span comes first. Of equal spans the field's value does, because the sort is
        // stable.
        spans.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut done = 0;
        for (range, reason) in spans {
            // If a span overlaps the one before, its remainder is replaced.
            let start = range.start.max(done);
            if range.end > start {
                self.redact_part(&text[done..start], Vec::new(), passes.saturating_sub(1), out);
                self.replace(reason, text, start..range.end, out);
                done = range.end;
            }
        }
        self.redact_part(&text[done..], Vec::new(), passes.saturating_sub(1), out);
    }

    fn replace(&self, reason: Reason, line: &str, range: Range<usize>, out: &mut String) {
        let text = &line[range.clone()];
        match reason {
            Reason::Pattern(kind) => {
                let counter = SensitiveKind::ALL.iter().zip(&self.found).find(|(other, _)| **other == kind);
                counter.into_iter().for_each(|(_, counter)| counter.increment(1));
                // A JSON number becomes a JSON string, so that the line stays valid JSON.
                let quote = if is_json_number(line, &range) { "\"" } else { "" };
                out.push_str(quote);
                match kind {
                    SensitiveKind::UserId if text.starts_with("usr_") => self.put_user_hash(text, out),
                    kind => out.push_str(&format!("[{}]", kind.name())),
                }
                out.push_str(quote);
            }
            Reason::Field => {
                self.found_fields.increment(1);
                // The replacement keeps the quotes of the value, for the same reason.
                match ["\\\"", "\""].iter().find(|quote| text.starts_with(**quote)) {
                    Some(quote) => out.push_str(&format!("{quote}[redacted]{quote}")),
                    None => out.push_str("\"[redacted]\""),
                }
            }
        }
    }

    fn put_user_hash(&self, user: &str, out: &mut String) {
        out.push_str("user:");
        match self.user_hash.0.get() {
            Some(hash) => out.push_str(&hex::encode(&hash.clone().chain_update(user).finalize().into_bytes()[..8])),
            None => out.push_str("[redacted]"),
        }
    }

    /// Finds the values of `name=value` and `"name":value` with a sensitive name, in linear time.
    fn named_values(&self, line: &str, mut found: impl FnMut(Range<usize>)) {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let mut at = 0;
        while let Some(start) = line.as_bytes()[at..].iter().position(is_name).map(|skipped| at + skipped) {
            let end = start + line.as_bytes()[start..].iter().take_while(|byte| is_name(byte)).count();
            at = end;
            if !self.is_sensitive(&line[start..end]) {
                continue;
            }
            let after = line[end..].trim_start_matches(['"', '\\']);
            let Some(value) = after.strip_prefix([':', '=']).map(str::trim_start) else { continue };
            let value_at = line.len() - value.len();
            let length = value_length(value);
            if length > 0 {
                at = value_at + length;
                found(value_at..at);
            }
        }
    }

    fn is_sensitive(&self, name: &str) -> bool {
        if name.len() > MAX_NAME {
            return false;
        }
        let name = name.to_ascii_lowercase();
        let is_secret = ["_key", "_secret", "_token", "_password"].iter().any(|ending| name.ends_with(ending));
        is_secret || self.names.contains(name.as_str())
    }
}

/// Whether the range is a whole number that is the value of a JSON member.
fn is_json_number(line: &str, range: &Range<usize>) -> bool {
    let before = &line[..range.start];
    before.ends_with("\":") && !before.ends_with("\\\":") && line[range.end..].starts_with([',', '}'])
}

/// Returns the length of the value at the start of the text: a quoted string, a group in brackets, or the text before
/// the next separator.
fn value_length(text: &str) -> usize {
    for quote in ["\\\"", "\""] {
        if let Some(inner) = text.strip_prefix(quote) {
            return closing_quote(inner, quote).map_or(text.len(), |end| quote.len() + end + quote.len());
        }
    }
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return at,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => return at,
            letter if depth == 0 && letter.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// Returns the position of the quote that ends a string, whose opening quote is not part of `inner`.
fn closing_quote(inner: &str, quote: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + inner[from..].find(quote)?;
        let backslashes = inner[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn redactor(key: [u8; 32]) -> Redactor {
        let user_hash = UserHashKey::default();
        user_hash.set(&key);
        Redactor::new(user_hash)
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(redactor([7; 32]).redact(line), expected);
    }

    #[test]
    fn values_are_replaced_wherever_they_stand() {
        check("call +91-9876543210 or a@b.in now", "call [phone] or [email] now");
        check("id 2341 2341 2346, pan ABCPE1234F", "id [aadhaar], pan [pan]");
        check("Bearer eyJhbGciOiJub25lIn0.eyJ4IjoxfQ.", "Bearer [jwt]");
        check("commit 00123456789012 took 12ms", "commit 00123456789012 took 12ms");
        check("pay 9876543210@upi.in", "pay [email]");
        check("2341 2341 2346@upi.in", "[aadhaar][email]");
        check(r#"{"n":9876543210,"m":1}"#, r#"{"n":"[phone]","m":1}"#);
    }

    #[test]
    fn a_user_id_becomes_the_same_keyed_hash_every_time() {
        let (redactor, other) = (redactor([7; 32]), redactor([8; 32]));
        let line = redactor.redact("GET /api/v2/profile/usr_7Qm2Xr9TzKpA user=usr_7Qm2Xr9TzKpA");
        let hash = line.rsplit("user:").next().expect("a hash");
        assert_eq!(line, format!("GET /api/v2/profile/user:{hash} user=user:{hash}"));
        assert_eq!(hash.len(), 16);
        assert_ne!(other.redact("usr_7Qm2Xr9TzKpA"), format!("user:{hash}"));
        let early = Redactor::new(UserHashKey::default()).redact("user=usr_7Qm2Xr9TzKpA");
        assert_eq!(early, "user=user:[redacted]", "there is no key yet");
    }

    #[test]
    fn a_sensitive_field_is_known_by_its_name() {
        check("display_name=\"Rajesh \\\"K\\\".\" state=goa", "display_name=\"[redacted]\" state=goa");
        check("pincode=560001 revision=4", "pincode=\"[redacted]\" revision=4");
        check(r#"{"fields":{"gender":"male","revision":4}}"#, r#"{"fields":{"gender":"[redacted]","revision":4}}"#);
        check("schemes: Some { category: Some(\"obc\"), n: 1 }", "schemes: Some { category: \"[redacted]\", n: 1 }");
        check("master_key=abc dev_secret=def", "master_key=\"[redacted]\" dev_secret=\"[redacted]\"");
        check(r#"{"message":"body {\"gender\":\"male\"}"}"#, r#"{"message":"body {\"gender\":\"[redacted]\"}"}"#);
    }

    #[test]
    fn a_line_of_four_mebibytes_ends() {
        let redactor = redactor([7; 32]);
        for part in ["a.a.", "token=", "gender\"\\", "token=\"\\", "98765 43210 ", "usr_abcdefghijkl@"] {
            let line = part.repeat(4 * 1024 * 1024 / part.len());
            assert!(!redactor.redact(&line).is_empty());
        }
    }

    fn fragments() -> impl Strategy<Value = Vec<&'static str>> {
        let fragments = vec![
            "2341",
            "2346",
            "234123412346",
            "98765",
            "43210",
            "9876543210",
            "091",
            "011",
            "23456789",
            "+91",
            "0",
            "६७",
            "ABCPE",
            "1234",
            "F",
            "ABCPE1234F",
            "29ABCPE1234F1Z5",
            "य",
            "x",
            "gender=",
            "token",
            "\"",
            "@",
            ".in",
            "eyJ",
            " ",
            " ",
            " ",
            "-",
            ".",
            "/",
            "_",
            "(",
            ")",
            "\u{ad}",
            "\u{200d}",
            "\t",
            "\u{300}",
            ",",
            "=",
            "+",
            "%",
            "%20",
            "%39",
            "%E0%A5%A8",
            "\\",
            "\\u0968",
            "\\ud835\\udfd0",
            "\u{1d7d0}",
            "1800",
        ];
        prop::collection::vec(select(fragments), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_that_validation_refuses_are_never_logged(fragments in fragments()) {
            let text = fragments.concat();
            let logged = redactor([7; 32]).redact(&text);
            prop_assert!(!sensitive::in_text(&logged), "{text:?} is logged as {logged:?}");
            prop_assert!(!sensitive::in_text(&text) || logged != text, "{text:?} is refused, and logged as it is");
            // Fields are logged as Rust or JSON write them, with escapes.
            for written in [format!("{text:?}"), serde_json::json!(text).to_string()] {
                let logged = redactor([7; 32]).redact(&written);
                prop_assert!(!sensitive::in_text(&text) || logged != written, "{text:?} is logged as {logged:?}");
            }
            prop_assert!(!sensitive::in_id(&text) || sensitive::in_text(&text), "{text:?}");
        }
    }
}
