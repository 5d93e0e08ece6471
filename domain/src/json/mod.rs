//! JSON as clients send it: a tree that borrows from the text, read strictly.
//!
//! Own tree on top of serde_json's tokens, since `serde_json::Value` copies every string, accepts members twice, and
//! loses where a fault is; the feed's errors point at it.

mod read;
mod split;

use std::borrow::Cow;

pub use read::{JsonError, JsonProblem, parse, parse_canonical};
pub use split::{ArraySplitter, SplitError};

use crate::canonical::{write_array, write_integer, write_number, write_object, write_string};

/// The greatest integer that every JSON implementation reads alike: 2^53.
pub const MAX_SAFE_INTEGER: i64 = 1 << 53;

/// A JSON value. Equal numbers are equal here: what is integral is always an [`Json::Integer`], however it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integral number of at most 2^53 in magnitude.
    Integer(i64),
    /// A finite number that is not integral.
    Number(f64),
    /// A string; borrowed unless it held an escape.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object's members in the order of the text, each name once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Returns the member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Returns the members, if this is an object.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the items, if this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the integer, if this is an integral number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the number, if this is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            // At most 2^53 in magnitude, so nothing is lost.
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the boolean, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Appends the value in the canonical form of RFC 8785.
    pub fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => write_integer(out, *value),
            Self::Number(value) => write_number(out, *value),
            Self::String(text) => write_string(out, text),
            Self::Array(items) => write_array(out, items, |out, item| item.write_canonical(out)),
            Self::Object(members) => write_members(members, out),
        }
    }
}

fn write_members(members: &[(Cow<'_, str>, Json<'_>)], out: &mut String) {
    let mut sorted: Vec<_> = members.iter().collect();
    // RFC 8785 §3.2.3 sorts by UTF-16 code units, which differ from bytes beyond the basic plane.
    sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let sorted = sorted.into_iter().map(|(name, value)| (name.as_ref(), value));
    write_object(out, sorted, |out, value| value.write_canonical(out));
}

#[cfg(test)]
mod tests;
