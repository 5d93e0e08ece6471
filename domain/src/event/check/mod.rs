//! Checks of single values. Each appends the value's canonical form, so that a value is read once.

mod items;
mod lists;
mod objects;
mod text;

use std::borrow::Cow;

pub(crate) use items::write_item;

use super::shape::Shape;
use super::{EventFault, EventProblem, Location};
use crate::canonical::{write_integer, write_number, write_string};
use crate::day::Day;
use crate::json::Json;
use crate::rules::Rules;

/// The members of an object.
pub(crate) type Members<'j> = [(Cow<'j, str>, Json<'j>)];

/// Checks that `value` has the shape, and appends it to `out` in canonical form.
pub(crate) fn write(
    shape: Shape,
    value: &Json<'_>,
    at: &Location<'_>,
    rules: &Rules,
    out: &mut String,
) -> Result<(), EventFault> {
    match shape {
        Shape::Bool => write_bool(value, at, out),
        Shape::Integer { min, max } => write_integer_within(value, min, max, at, out),
        Shape::Fraction => write_fraction(value, at, out),
        Shape::Word(words) => write_plain(text::word(value, words, at)?, out),
        Shape::Token => write_plain(text::token(value, at)?, out),
        Shape::DisplayName => write_plain(text::display_name(value, at)?, out),
        Shape::State => write_plain(text::state(value, rules, at)?, out),
        Shape::Slug => write_plain(text::slug(value, rules.limits.string_chars, at)?, out),
        Shape::Pincode => write_plain(text::pincode(value, at)?, out),
        Shape::ItemId => write_plain(text::item_id(value, rules.limits.id_chars, at)?, out),
        Shape::Date => write_plain(text::date(value, at)?, out),
        Shape::Path => write_plain(text::path(value, rules.limits.string_chars, at)?, out),
        Shape::Text(limit) => {
            write_string(out, text::free(value, limit(&rules.limits), at)?);
            Ok(())
        }
        Shape::WordSet(words) => lists::write_set(value, usize::MAX, at, out, |item, at| text::word(item, words, at)),
        Shape::TextSet(limit) => {
            let chars = rules.limits.string_chars;
            lists::write_set(value, limit(&rules.limits), at, out, |item, at| text::free(item, chars, at))
        }
        Shape::RuleNames(limit) => {
            let chars = rules.limits.id_chars;
            lists::write_list(value, limit(&rules.limits), at, out, |item, at| text::free(item, chars, at))
        }
        Shape::ItemIds(limit) => {
            let chars = rules.limits.id_chars;
            lists::write_list(value, limit(&rules.limits), at, out, |item, at| text::item_id(item, chars, at))
        }
        Shape::Items(item, count, bytes) => {
            let limits = (count(&rules.limits), bytes(&rules.limits));
            items::write_items(item, value, limits, at, rules, out)
        }
        Shape::SourceTrace => objects::write_source_trace(value, at, out),
        Shape::SourceConfidence => objects::write_source_confidence(value, at, out),
        Shape::Metrics => objects::write_metrics(value, &rules.limits, at, out),
    }
}

pub(crate) use text::{check_id_not_red, clean, item_id, uri_reference};

/// Returns the members of an object, or the fault that the value is not an object.
pub(crate) fn object<'v, 'j>(value: &'v Json<'j>, at: &Location<'_>) -> Result<&'v Members<'j>, EventFault> {
    value.as_object().ok_or_else(|| wrong_type(at, "must be an object"))
}

/// Returns the text, or the fault that the value is not a string.
pub(crate) fn string<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    value.as_str().ok_or_else(|| wrong_type(at, "must be a string"))
}

fn array<'v, 'j>(value: &'v Json<'j>, limit: usize, at: &Location<'_>) -> Result<&'v [Json<'j>], EventFault> {
    let items = value.as_array().ok_or_else(|| wrong_type(at, "must be an array"))?;
    if items.len() > limit {
        return Err(EventFault::new(EventProblem::TooMany, at, format!("must have at most {limit} items")));
    }
    Ok(items)
}

fn too_large(bytes: usize, at: &Location<'_>) -> EventFault {
    EventFault::new(EventProblem::TooLarge, at, format!("must have at most {bytes} bytes in canonical form"))
}

fn wrong_type(at: &Location<'_>, detail: &'static str) -> EventFault {
    EventFault::new(EventProblem::WrongType, at, detail)
}

fn write_bool(value: &Json<'_>, at: &Location<'_>, out: &mut String) -> Result<(), EventFault> {
    let value = value.as_bool().ok_or_else(|| wrong_type(at, "must be `true` or `false`"))?;
    out.push_str(if value { "true" } else { "false" });
    Ok(())
}

fn write_integer_within(
    value: &Json<'_>,
    min: i64,
    max: i64,
    at: &Location<'_>,
    out: &mut String,
) -> Result<(), EventFault> {
    let integer = value.as_i64().ok_or_else(|| wrong_type(at, "must be an integer"))?;
    if !(min..=max).contains(&integer) {
        return Err(EventFault::new(EventProblem::OutOfRange, at, format!("must be an integer from {min} to {max}")));
    }
    write_integer(out, integer);
    Ok(())
}

fn write_fraction(value: &Json<'_>, at: &Location<'_>, out: &mut String) -> Result<(), EventFault> {
    let number = value.as_f64().ok_or_else(|| wrong_type(at, "must be a number"))?;
    if !(0.0..=1.0).contains(&number) {
        return Err(EventFault::new(EventProblem::OutOfRange, at, "must be a number from 0 to 1"));
    }
    write_number(out, number);
    Ok(())
}

/// Writes text that needs no escape.
fn write_plain(text: &str, out: &mut String) -> Result<(), EventFault> {
    out.push('"');
    out.push_str(text);
    out.push('"');
    Ok(())
}

/// Returns whether the text is a calendar date.
fn is_date(text: &str) -> bool {
    Day::parse(text).is_some()
}
