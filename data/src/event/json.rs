//! JSON written straight into a buffer, without a tree in between. The texts of the population need no escapes.

use std::io::Write;

use crate::day::Day;

/// Appends JSON to a buffer and places the commas.
pub(super) struct Json<'b> {
    out: &'b mut Vec<u8>,
    /// Whether the open object or array has an item already.
    follows: bool,
}

impl<'b> Json<'b> {
    pub(super) fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out, follows: false }
    }

    /// Appends bytes that are JSON already.
    pub(super) fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Appends the name of a member; the value comes next.
    pub(super) fn key(&mut self, name: &str) {
        self.comma();
        self.quoted(name);
        self.raw(b":");
        self.follows = false;
    }

    pub(super) fn text(&mut self, value: &str) {
        self.comma();
        self.quoted(value);
    }

    pub(super) fn number(&mut self, value: u64) {
        self.comma();
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.comma();
        self.raw(if value { b"true" } else { b"false" });
    }

    pub(super) fn null(&mut self) {
        self.comma();
        self.raw(b"null");
    }

    /// Appends hundredths, at most 99, as `0.07`.
    pub(super) fn fraction(&mut self, hundredths: u8) {
        self.comma();
        let hundredths = hundredths.min(99);
        self.out.extend_from_slice(&[b'0', b'.', b'0' + hundredths / 10, b'0' + hundredths % 10]);
    }

    /// Appends `"YYYY-MM-DD"` with a prefix inside the quotes.
    pub(super) fn date(&mut self, before: &str, day: Day) {
        self.comma();
        let (year, month, of_month) = day.civil();
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "\"{before}{year:04}-{month:02}-{of_month:02}\"");
    }

    /// Appends an instant as RFC 3339 in UTC, to the millisecond.
    pub(super) fn time(&mut self, micros: i64) {
        self.comma();
        let seconds = micros.div_euclid(1_000_000);
        let (year, month, day) = Day(seconds.div_euclid(86_400) as i32).civil();
        let (second, millis) = (seconds.rem_euclid(86_400), micros.rem_euclid(1_000_000) / 1_000);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let _ = write!(self.out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z\"");
    }

    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested(b"{", members, b"}");
    }

    pub(super) fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.nested(b"[", items, b"]");
    }

    /// Appends a member that is an object.
    pub(super) fn section(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.key(name);
        self.object(members);
    }

    /// Appends a member that is a string.
    pub(super) fn word(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text(value);
    }

    fn nested(&mut self, open: &[u8], inside: impl FnOnce(&mut Self), close: &[u8]) {
        self.comma();
        self.raw(open);
        self.follows = false;
        inside(self);
        self.raw(close);
        self.follows = true;
    }

    fn comma(&mut self) {
        if self.follows {
            self.out.push(b',');
        }
        self.follows = true;
    }

    fn quoted(&mut self, text: &str) {
        debug_assert!(!text.contains(['"', '\\']) && !text.contains(char::is_control), "`{text}` needs an escape");
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.object(|json| {
            json.word("a", "₹");
            json.key("b");
            json.array(|json| {
                json.number(0);
                json.number(u64::MAX);
                json.fraction(7);
                json.object(|_| {});
            });
            json.key("c");
            json.null();
            json.key("d");
            json.date("verified_", Day::from_civil(2026, 1, 9));
            json.key("e");
            json.time(1_768_996_800_123_456);
            json.key("f");
            json.flag(true);
        });
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            r#"{"a":"₹","b":[0,18446744073709551615,0.07,{}],"c":null,"d":"verified_2026-01-09","e":"2026-01-21T12:00:00.123Z","f":true}"#
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}
