//! Checks of lists and sets of strings.

use super::array;
use crate::canonical::{write_array, write_string};
use crate::event::{EventFault, Location};
use crate::json::Json;

/// Writes a set, sorted bytewise; an item that was sent twice counts once.
pub(super) fn write_set<'v>(
    value: &'v Json<'_>,
    limit: usize,
    at: &Location<'_>,
    out: &mut String,
    check: impl Fn(&'v Json<'_>, &Location<'_>) -> Result<&'v str, EventFault>,
) -> Result<(), EventFault> {
    let items = array(value, limit, at)?.iter().enumerate();
    let mut texts = items.map(|(index, item)| check(item, &at.index(index))).collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable();
    texts.dedup();
    write_strings(texts, out);
    Ok(())
}

/// Writes a list in the order in which it was sent.
pub(super) fn write_list<'v>(
    value: &'v Json<'_>,
    limit: usize,
    at: &Location<'_>,
    out: &mut String,
    check: impl Fn(&'v Json<'_>, &Location<'_>) -> Result<&'v str, EventFault>,
) -> Result<(), EventFault> {
    out.push('[');
    for (index, item) in array(value, limit, at)?.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, check(item, &at.index(index))?);
    }
    out.push(']');
    Ok(())
}

/// Appends an array of strings.
pub(super) fn write_strings<'v>(texts: impl IntoIterator<Item = &'v str>, out: &mut String) {
    write_array(out, texts, write_string);
}
