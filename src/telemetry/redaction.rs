//! The redaction layer: it rewrites every formatted line, whatever crate wrote it, before it leaves.
//!
//! It works on the finished line, so no field, span or message can go round it. `domain::sensitive` says what is
//! replaced; ids of users become a keyed hash, and fields with a sensitive name lose their value.

use std::collections::HashSet;
use std::ops::Range;

use domain::sensitive::{self, SensitiveKind};
use domain::table::{Class, FIELDS};
use hmac::{Hmac, KeyInit, Mac};
use metrics::Counter;
use sha2::Sha256;

use super::metric;

/// Finds what must not be logged, and says in its place what it was.
pub(crate) struct Redactor {
    user_hash: Hmac<Sha256>,
    names: HashSet<&'static str>,
    found: [Counter; SensitiveKind::ALL.len()],
    found_fields: Counter,
}

/// What is replaced.
#[derive(Debug, Clone, Copy)]
enum Reason {
    /// It looks like something sensitive.
    Pattern(SensitiveKind),
    /// It is the value of a field with a sensitive name.
    Field,
}

/// How often the text between replacements is searched.
const PASSES: usize = 3;

/// The longest name of a field that is looked up.
const MAX_NAME: usize = 64;

impl Redactor {
    /// `key` keys the hash that stands for a user id.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let sensitive = FIELDS.iter().filter(|field| field.class == Class::Sensitive);
        let names = sensitive.map(|field| if field.name.is_empty() { field.path } else { field.name });
        // HMAC pads a short key with zeros to its block anyway.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Self {
            user_hash: Hmac::new(&block.into()),
            names: names.chain(["authorization", "cookie", "password", "secret", "token", "ticket"]).collect(),
            found: SensitiveKind::ALL.map(|kind| metric::redactions(kind.name())),
            found_fields: metric::redactions("field"),
        }
    }

    /// The line with everything found replaced.
    pub(crate) fn redact(&self, line: &str) -> String {
        let mut spans: Vec<(Range<usize>, Reason)> = Vec::new();
        self.named_values(line, |value| spans.push((value, Reason::Field)));
        let mut out = String::with_capacity(line.len() + 16);
        self.redact_part(line, spans, PASSES, &mut out);
        out
    }

    /// Replaces `spans` and all that is found in the text. What is left between is searched again, as it will stand
    /// there: a word may begin where a number ended. The passes are few, so the work stays linear.
    fn redact_part(&self, text: &str, mut spans: Vec<(Range<usize>, Reason)>, passes: usize, out: &mut String) {
        if passes > 0 {
            spans.extend(sensitive::find(text).into_iter().map(|span| (span.range, Reason::Pattern(span.kind))));
        }
        if spans.is_empty() {
            return out.push_str(text);
        }
        // The longest comes first, and of equals the field's value, because the sort is stable.
        spans.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut done = 0;
        for (range, reason) in spans {
            // A span may overlap the one before: then what is left of it is replaced.
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
                // A number of JSON becomes a string, so that a line of JSON stays one.
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
                // Between the quotes that it had, for the same reason.
                match ["\\\"", "\""].iter().find(|quote| text.starts_with(**quote)) {
                    Some(quote) => out.push_str(&format!("{quote}[redacted]{quote}")),
                    None => out.push_str("\"[redacted]\""),
                }
            }
        }
    }

    fn put_user_hash(&self, user: &str, out: &mut String) {
        let mac = self.user_hash.clone().chain_update(user).finalize().into_bytes();
        out.push_str("user:");
        out.push_str(&hex::encode(&mac[..8]));
    }

    /// The values of `name=value` and `"name":value` with a sensitive name. Looks at every byte a fixed number of times.
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

/// Whether the range is all of a number that is a member's value in JSON.
fn is_json_number(line: &str, range: &Range<usize>) -> bool {
    let before = &line[..range.start];
    before.ends_with("\":") && !before.ends_with("\\\":") && line[range.end..].starts_with([',', '}'])
}

/// The bytes of one value: a quoted string, a bracketed group, or what stands before the next separator.
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

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(Redactor::new(&[7; 32]).redact(line), expected);
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
        let redactor = Redactor::new(&[7; 32]);
        let line = redactor.redact("GET /api/v2/profile/usr_7Qm2Xr9TzKpA user=usr_7Qm2Xr9TzKpA");
        let hash = line.rsplit("user:").next().expect("a hash");
        assert_eq!(line, format!("GET /api/v2/profile/user:{hash} user=user:{hash}"));
        assert_eq!(hash.len(), 16);
        assert_ne!(Redactor::new(&[8; 32]).redact("usr_7Qm2Xr9TzKpA"), format!("user:{hash}"));
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
        let redactor = Redactor::new(&[7; 32]);
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
        fn what_validation_refuses_no_log_holds(fragments in fragments()) {
            let text = fragments.concat();
            let logged = Redactor::new(&[7; 32]).redact(&text);
            prop_assert!(!sensitive::in_text(&logged), "{text:?} is logged as {logged:?}");
            prop_assert!(!sensitive::in_text(&text) || logged != text, "{text:?} is refused, and logged as it is");
            // Fields are logged as Rust or JSON write them, with escapes.
            for written in [format!("{text:?}"), serde_json::json!(text).to_string()] {
                let logged = Redactor::new(&[7; 32]).redact(&written);
                prop_assert!(!sensitive::in_text(&text) || logged != written, "{text:?} is logged as {logged:?}");
            }
            prop_assert!(!sensitive::in_id(&text) || sensitive::in_text(&text), "{text:?}");
        }
    }
}
