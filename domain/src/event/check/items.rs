//! Checks of closed objects: schemes, deadlines, predicted events, recommended actions.

use super::{Members, array, object, too_large, write};
use crate::canonical::write_array;
use crate::event::shape::{Item, Presence};
use crate::event::{EventFault, EventProblem, Location};
use crate::json::Json;
use crate::rules::Rules;

/// Checks the members of one item and appends it.
pub(crate) fn write_item(
    item: &Item,
    members: &Members<'_>,
    at: &Location<'_>,
    rules: &Rules,
    out: &mut String,
) -> Result<(), EventFault> {
    for (name, _) in members {
        let known = item.members.iter().find(|member| member.name == name);
        match known.map(|member| member.presence) {
            Some(Presence::Required | Presence::Optional) => {}
            Some(Presence::Derived) => {
                return Err(EventFault::new(
                    EventProblem::DerivedMember,
                    &at.member(name),
                    "is derived and cannot be sent",
                ));
            }
            None => {
                return Err(EventFault::new(
                    EventProblem::UnknownMember,
                    &at.member(name),
                    "is not a member of this object",
                ));
            }
        }
    }
    out.push('{');
    let mut separator = "";
    for member in item.members {
        let Some((_, value)) = members.iter().find(|(name, _)| name == member.name) else {
            if member.presence == Presence::Required {
                return Err(EventFault::new(EventProblem::MissingMember, &at.member(member.name), "must be there"));
            }
            continue;
        };
        out.push_str(separator);
        separator = ",";
        out.push('"');
        out.push_str(member.name);
        out.push_str("\":");
        write(member.shape, value, &at.member(member.name), rules, out)?;
    }
    out.push('}');
    Ok(())
}

/// Checks a list of items and appends it: by key where the items have one, else as it was sent. The limits are of items,
/// and of bytes in canonical form.
pub(super) fn write_items(
    item: &Item,
    value: &Json<'_>,
    (max_items, max_bytes): (usize, usize),
    at: &Location<'_>,
    rules: &Rules,
    out: &mut String,
) -> Result<(), EventFault> {
    let list = array(value, max_items, at)?;
    let mut text = String::with_capacity(list.len() * 192);
    let mut written = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let (here, start) = (at.index(index), text.len());
        write_item(item, object(value, &here)?, &here, rules, &mut text)?;
        // The list adds two brackets, and a comma between two items.
        if text.len() + index + 2 > max_bytes {
            return Err(too_large(max_bytes, at));
        }
        let key = item.key.and_then(|key| value.get(key)?.as_str()).unwrap_or_default();
        written.push((key, index, start..text.len()));
    }
    if let Some(key) = item.key {
        written.sort_unstable_by_key(|(key, index, _)| (*key, *index));
        if let Some(pair) = written.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let here = at.index(pair[1].1);
            return Err(EventFault::new(
                EventProblem::DuplicateItem,
                &here.member(key),
                "is the id of an earlier item",
            ));
        }
    }
    write_array(out, written, |out, (_, _, range)| out.push_str(&text[range]));
    Ok(())
}
