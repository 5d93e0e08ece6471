//! The redaction layer: it rewrites every formatted line, whatever crate wrote it, before it leaves.
//!
//! It works on the finished line, so no field, span or message can go round it.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use domain::table::{Class, FIELDS};
use hmac::{Hmac, KeyInit, Mac};
use metrics::Counter;
use sha2::Sha256;
use tracing_subscriber::fmt::MakeWriter;

use super::metric;
use super::pattern::{self, Kind};

/// Finds what must not be logged, and says in its place what it was.
pub(crate) struct Redactor {
    user_hash: Hmac<Sha256>,
    names: HashSet<&'static str>,
    found: [Counter; Kind::ALL.len()],
}

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
            found: Kind::ALL.map(metric::redactions),
        }
    }

    /// The line with everything found replaced.
    pub(crate) fn redact(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len() + 16);
        let mut rest = line;
        let mut within_word = false;
        while let Some(letter) = rest.chars().next() {
            let mut taken = letter.len_utf8();
            if within_word {
                out.push(letter);
            } else if let Some((kind, length)) = pattern::at_start_of_word(rest) {
                self.replace(kind, &rest[..length], &mut out);
                taken = length;
            } else if let Some((value, length)) = self.named_value(rest) {
                out.push_str(&rest[..value]);
                self.replace(Kind::Field, &rest[value..length], &mut out);
                taken = length;
            } else {
                out.push(letter);
            }
            within_word = letter.is_alphanumeric() || letter == '_';
            rest = &rest[taken..];
        }
        out
    }

    fn replace(&self, kind: Kind, text: &str, out: &mut String) {
        self.found[kind as usize].increment(1);
        match kind {
            Kind::UserId => {
                let mac = self.user_hash.clone().chain_update(text).finalize().into_bytes();
                out.push_str("user:");
                out.push_str(&hex::encode(&mac[..8]));
            }
            // Between the quotes that it had, so that a line of JSON stays one.
            Kind::Field => match ["\\\"", "\""].iter().find(|quote| text.starts_with(**quote)) {
                Some(quote) => out.push_str(&format!("{quote}[redacted]{quote}")),
                None => out.push_str("\"[redacted]\""),
            },
            kind => out.push_str(&format!("[{}]", kind.name())),
        }
    }

    /// `name=value` or `"name":value` with a sensitive name: where the value begins and ends.
    fn named_value(&self, text: &str) -> Option<(usize, usize)> {
        let name = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let word = text[..name].to_ascii_lowercase();
        let secret = ["_key", "_secret", "_token", "_password"].iter().any(|ending| word.ends_with(ending));
        if name == 0 || !(secret || self.names.contains(word.as_str())) {
            return None;
        }
        let after = text[name..].trim_start_matches(['"', '\\']);
        let value = after.strip_prefix([':', '='])?.trim_start();
        let start = text.len() - value.len();
        let length = value_length(value);
        (length > 0).then_some((start, start + length))
    }
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

/// Gives the formatter a writer behind the redactor.
pub(super) struct RedactedStderr(pub(super) Arc<Redactor>);

impl<'a> MakeWriter<'a> for RedactedStderr {
    type Writer = RedactedLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactedLine(&self.0)
    }
}

/// Takes a whole line at a time, which is how the formatter writes.
pub(super) struct RedactedLine<'a>(&'a Redactor);

impl Write for RedactedLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(self.0.redact(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
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
}
