//! Checks of the objects whose members are not fixed: trust's statements about sources, and analytics' metrics.

use super::lists::write_strings;
use super::{Members, array, is_date, object, string, text, too_large, write_fraction};
use crate::canonical::write_string;
use crate::event::{EventFault, EventProblem, Location};
use crate::json::Json;
use crate::rules::Limits;
use crate::source::Source;
use crate::table::{FIELDS, Leaf, Member};

/// Writes an object from source to "verified_", "synced_" or "computed_" with a date.
pub(super) fn write_source_trace(value: &Json<'_>, at: &Location<'_>, out: &mut String) -> Result<(), EventFault> {
    write_by_source(value, at, out, |value, at, out| {
        let text = string(value, at)?;
        let date = ["verified_", "synced_", "computed_"].iter().find_map(|prefix| text.strip_prefix(prefix));
        if !date.is_some_and(is_date) {
            let detail = "must be `verified_`, `synced_` or `computed_` and a date, as `YYYY-MM-DD`";
            return Err(EventFault::new(EventProblem::InvalidFormat, at, detail));
        }
        write_string(out, text);
        Ok(())
    })
}

/// Writes an object from source to `{confidence, fields}`: how reliable the source is for these fields.
pub(super) fn write_source_confidence(value: &Json<'_>, at: &Location<'_>, out: &mut String) -> Result<(), EventFault> {
    write_by_source(value, at, out, |value, at, out| {
        let members = object(value, at)?;
        if let Some((name, _)) = members.iter().find(|(name, _)| name != "confidence" && name != "fields") {
            return Err(EventFault::new(
                EventProblem::UnknownMember,
                &at.member(name),
                "must be `confidence` or `fields`",
            ));
        }
        out.push_str("{\"confidence\":");
        write_fraction(required(members, "confidence", at)?, &at.member("confidence"), out)?;
        out.push_str(",\"fields\":");
        write_fields(required(members, "fields", at)?, &at.member("fields"), out)?;
        out.push('}');
        Ok(())
    })
}

/// Writes any object whose canonical form is small and whose strings pass the text checks.
pub(super) fn write_metrics(
    value: &Json<'_>,
    limits: &Limits,
    at: &Location<'_>,
    out: &mut String,
) -> Result<(), EventFault> {
    object(value, at)?;
    check_strings(value, limits, at)?;
    let start = out.len();
    value.write_canonical(out);
    let bytes = limits.aggregated_metrics_bytes;
    if out.len() - start > bytes {
        return Err(too_large(bytes, at));
    }
    Ok(())
}

fn check_strings(value: &Json<'_>, limits: &Limits, at: &Location<'_>) -> Result<(), EventFault> {
    match value {
        Json::String(string) => check_string(string, limits, at),
        Json::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| check_strings(item, limits, &at.index(index)))
        }
        Json::Object(members) => members.iter().try_for_each(|(name, value)| {
            check_string(name, limits, at)?;
            check_strings(value, limits, &at.member(name))
        }),
        _ => Ok(()),
    }
}

fn check_string(string: &str, limits: &Limits, at: &Location<'_>) -> Result<(), EventFault> {
    text::check_clean(string, limits.string_chars, at)?;
    text::check_not_red(string, at)
}

/// Appends an object from sources to what `write` makes of each value.
fn write_by_source(
    value: &Json<'_>,
    at: &Location<'_>,
    out: &mut String,
    write: impl Fn(&Json<'_>, &Location<'_>, &mut String) -> Result<(), EventFault>,
) -> Result<(), EventFault> {
    let members = object(value, at)?;
    if let Some((name, _)) = members.iter().find(|(name, _)| Source::parse(name).is_none()) {
        return Err(EventFault::new(EventProblem::UnknownMember, &at.member(name), "is an unknown source"));
    }
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| name);
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write(value, &at.member(name), out)?;
    }
    out.push('}');
    Ok(())
}

/// Writes a set of dotted paths of the profile, or `section.*`.
fn write_fields(value: &Json<'_>, at: &Location<'_>, out: &mut String) -> Result<(), EventFault> {
    let items = array(value, FIELDS.len() + Member::COUNT, at)?;
    let path = |(index, item): (usize, _)| {
        let at = at.index(index);
        let path = string(item, &at)?;
        let section = path.strip_suffix(".*").and_then(Member::parse).is_some_and(|member| !member.is_leaf());
        if !section && Leaf::parse(path).is_none() {
            let detail = "must be the dotted path of a field, or a section and `.*`";
            return Err(EventFault::new(EventProblem::UnknownValue, &at, detail));
        }
        Ok(path)
    };
    let paths = items.iter().enumerate().map(path).collect::<Result<Vec<_>, _>>()?;
    write_strings(paths, out);
    Ok(())
}

fn required<'v, 'j>(
    members: &'v Members<'j>,
    name: &'static str,
    at: &Location<'_>,
) -> Result<&'v Json<'j>, EventFault> {
    let member = members.iter().find(|(member, _)| member == name);
    member
        .map(|(_, value)| value)
        .ok_or_else(|| EventFault::new(EventProblem::MissingMember, &at.member(name), "must be there"))
}
