//! Stage 4, diff: looks only at the members that the step changed.

use std::borrow::Cow;
use std::cmp::Ordering;

use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, jsonptr::PointerBuf};
use serde_json::Value;

use crate::canonical::CanonicalJson;
use crate::delta::LeafChange;
use crate::name_table::LeafName;
use crate::scan;
use crate::table::{Leaf, ValueType};

/// Appends the operations of one leaf's change, for a parent that is present before and after. A change that the version
/// does not show has none.
pub(super) fn leaf_operations(name: &LeafName, change: &LeafChange, out: &mut Vec<PatchOperation>) {
    let (old, new) = (shown(name, &change.old), shown(name, &change.new));
    let path = || name.pointer.clone();
    match (&old, &new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => {
            let fine = match change.leaf.field().value {
                ValueType::Schemes | ValueType::Deadlines => items(change.leaf, &name.pointer, old, new),
                ValueType::SourceTrace => Some(object(&name.pointer, old, new)),
                _ => None,
            };
            match fine {
                Some(operations) if size(&operations) < new.len() => {
                    out.extend(operations.into_iter().map(Operation::build))
                }
                _ => out.push(Operation::Replace(path(), new).build()),
            }
        }
        (None, Some(new)) => out.push(Operation::Add(path(), new).build()),
        (Some(_), None) => out.push(Operation::Remove(path()).build()),
        (None, None) => {}
    }
}

/// An operation whose value is still canonical text.
enum Operation<'a> {
    Add(String, &'a str),
    Replace(String, &'a str),
    Remove(String),
}

impl Operation<'_> {
    fn build(self) -> PatchOperation {
        match self {
            Self::Add(path, value) => PatchOperation::Add(AddOperation { path: pointer(path), value: parse(value) }),
            Self::Replace(path, value) => {
                PatchOperation::Replace(ReplaceOperation { path: pointer(path), value: parse(value) })
            }
            Self::Remove(path) => PatchOperation::Remove(RemoveOperation { path: pointer(path) }),
        }
    }

    /// Returns the approximate number of bytes that the change takes in a patch.
    fn size(&self) -> usize {
        match self {
            Self::Add(path, value) | Self::Replace(path, value) => 32 + path.len() + value.len(),
            Self::Remove(path) => 24 + path.len(),
        }
    }
}

fn size(operations: &[Operation<'_>]) -> usize {
    operations.iter().map(Operation::size).sum()
}

/// Returns what a version shows of a value.
fn shown<'v>(name: &LeafName, value: &'v Option<CanonicalJson>) -> Option<Cow<'v, str>> {
    value.as_ref().map(|value| name.projection.apply(value.as_str()))
}

/// Adds a whole section, whose leaves are the new values of `changes`.
pub(super) fn add_section<'a>(
    section: &str,
    changes: impl Iterator<Item = (&'a LeafName, &'a LeafChange)>,
) -> PatchOperation {
    let leaves = changes.filter_map(|(name, change)| Some((name.name.to_owned(), parse(&shown(name, &change.new)?))));
    PatchOperation::Add(AddOperation { path: pointer(format!("/{section}")), value: Value::Object(leaves.collect()) })
}

/// Removes a whole section.
pub(super) fn remove_section(name: &str) -> PatchOperation {
    Operation::Remove(format!("/{name}")).build()
}

/// Aligns two lists by their items' sort keys: removals from the end, then additions, then changes within items.
fn items<'a>(leaf: Leaf, path: &str, old: &'a str, new: &'a str) -> Option<Vec<Operation<'a>>> {
    let keyed = |list: &'a str| -> Option<Vec<((&'a str, &'a str), &'a str)>> {
        scan::elements(list).map(|item| Some((sort_key(leaf, item)?, item))).collect()
    };
    let (old, new) = (keyed(old)?, keyed(new)?);
    let (mut removed, mut added, mut within) = (Vec::new(), Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let order = match (old.get(i), new.get(j)) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Less => {
                removed.push(Operation::Remove(format!("{path}/{i}")));
                i += 1;
            }
            Ordering::Greater => {
                added.push(Operation::Add(format!("{path}/{j}"), new[j].1));
                j += 1;
            }
            Ordering::Equal => {
                if old[i].1 != new[j].1 {
                    within.extend(object(&format!("{path}/{j}"), old[i].1, new[j].1));
                }
                i += 1;
                j += 1;
            }
        }
    }
    removed.reverse();
    removed.append(&mut added);
    removed.append(&mut within);
    Some(removed)
}

/// Returns the key that a list is sorted by. An item whose key changes is removed and added again.
fn sort_key(leaf: Leaf, item: &str) -> Option<(&str, &str)> {
    match leaf.field().value {
        ValueType::Schemes => Some((scan::text_member(item, "scheme_id")?, "")),
        _ => Some((scan::text_member(item, "due_date")?, scan::text_member(item, "deadline_id")?)),
    }
}

/// Returns the member-wise difference of two objects whose names need no escape in a JSON Pointer.
///
/// Canonical members are sorted, so one walk along both finds it.
fn object<'a>(path: &str, old: &'a str, new: &'a str) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    let (mut old, mut new) = (scan::members(old).peekable(), scan::members(new).peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return operations,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some((name, _)), None) => operations.push(Operation::Remove(format!("{path}/{name}"))),
            (None, Some((name, value))) => operations.push(Operation::Add(format!("{path}/{name}"), value)),
            (Some((_, before)), Some((name, value))) if before != value => {
                operations.push(Operation::Replace(format!("{path}/{name}"), value));
            }
            _ => {}
        }
    }
}

fn pointer(path: String) -> PointerBuf {
    // Built from table names, indices and slugs: always a valid RFC 6901 pointer.
    PointerBuf::parse(path).unwrap_or_default()
}

fn parse(canonical: &str) -> Value {
    serde_json::from_str(canonical).unwrap_or_default()
}
