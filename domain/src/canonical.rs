//! Values in their RFC 8785 canonical form, as bytes.
//!
//! Validation puts a value into this form once, and the hot path never parses it again: a document is spliced from such
//! bytes, and a hash is computed over them as they are.

use std::fmt::Write as _;

use smol_str::SmolStr;

use crate::digits;

/// One JSON value in canonical form. Most values are short and held in place; cloning a longer one shares its bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalJson(SmolStr);

impl CanonicalJson {
    /// Wraps text that is in canonical form already. It is not checked.
    pub fn from_canonical(text: impl Into<SmolStr>) -> Self {
        Self(text.into())
    }

    /// Wraps a constant that is in canonical form. It is not checked.
    pub(crate) fn from_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// Creates `true` or `false`.
    pub fn bool(value: bool) -> Self {
        Self::from_static(if value { "true" } else { "false" })
    }

    /// Creates an integer, which must be at most 2^53 in magnitude to be canonical.
    pub fn integer(value: i64) -> Self {
        if let Some(digits) = digits::small(value) {
            return Self::from_static(digits);
        }
        let mut text = String::with_capacity(8);
        write_integer(&mut text, value);
        Self(text.into())
    }

    /// Creates the number of tenths that `tenths` counts, which must not be negative.
    pub(crate) fn tenths(tenths: i64) -> Self {
        let (whole, rest) = (tenths / 10, tenths % 10);
        let mut text = String::with_capacity(8);
        write_integer(&mut text, whole);
        if rest != 0 {
            text.push('.');
            write_integer(&mut text, rest);
        }
        Self(text.into())
    }

    /// Creates a finite number in the ECMAScript form.
    pub fn number(value: f64) -> Self {
        let mut text = String::with_capacity(8);
        write_number(&mut text, value);
        Self(text.into())
    }

    /// Creates a string, quoted and escaped.
    pub fn string(value: &str) -> Self {
        let mut text = String::with_capacity(value.len() + 2);
        write_string(&mut text, value);
        Self(text.into())
    }

    /// Returns the canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the canonical bytes as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the content of a string that holds no escape; `None` for any other value.
    pub fn plain_str(&self) -> Option<&str> {
        let inner = self.as_str().strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains('\\')).then_some(inner)
    }

    /// Returns the number of bytes that are held outside of the value, where clones share them.
    pub(crate) fn shared_bytes(&self) -> usize {
        if self.0.is_heap_allocated() { self.0.len() } else { 0 }
    }
}

impl std::fmt::Debug for CanonicalJson {
    // A value may be sensitive (class Y), so Debug shows only its size.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CanonicalJson({} bytes)", self.0.len())
    }
}

/// Appends an array; `write` appends each item.
pub(crate) fn write_array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends an object; `write` appends the value of each member. The caller passes the members in canonical order.
pub(crate) fn write_object<'n, T>(
    out: &mut String,
    members: impl IntoIterator<Item = (&'n str, T)>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

/// Appends an integer.
pub fn write_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    digits::push_number(out, value.unsigned_abs());
}

/// Appends a finite number in the ECMAScript form that RFC 8785 asks for.
pub fn write_number(out: &mut String, value: f64) {
    out.push_str(ryu_js::Buffer::new().format_finite(value));
}

/// Appends a string, quoted, with the escapes of RFC 8785 §3.2.2.2.
pub fn write_string(out: &mut String, value: &str) {
    out.push('"');
    let mut plain = 0;
    for (index, byte) in value.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x09 => "\\t",
            0x0a => "\\n",
            0x0c => "\\f",
            0x0d => "\\r",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&value[plain..index]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = index + 1;
    }
    out.push_str(&value[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_rfc_8785_asks() {
        assert_eq!(
            CanonicalJson::string("a\"\\\u{8}\t\n\u{c}\r\u{1}é€").as_str(),
            "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001é€\""
        );
        for (value, text) in [
            (0.2, "0.2"),
            (1.0, "1"),
            (-0.0, "0"),
            (1e21, "1e+21"),
            (252.5, "252.5"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
        ] {
            assert_eq!(CanonicalJson::number(value).as_str(), text);
        }
        for tenths in (0..10_000).chain([123_456_789, 1 << 50]) {
            assert_eq!(CanonicalJson::tenths(tenths), CanonicalJson::number(tenths as f64 / 10.0));
        }
        for value in (-1_000..1_000).chain([i64::MIN, -100_000, 123_456, 1 << 53, i64::MAX]) {
            assert_eq!(CanonicalJson::integer(value).as_str(), value.to_string());
        }
    }
}
