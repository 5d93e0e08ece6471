//! A leaf's value as a record holds it.

use bytes::Bytes;

use super::codec::{DecodeError, Reader, Writer};
use super::edit::{Base, Edit};
use crate::canonical::CanonicalJson;
use crate::profile::Profile;
use crate::table::Leaf;

/// Marks a leaf whose value is an edit. Leaf numbers stay below it.
const EDITED: u8 = 0x80;

/// A value that a leaf gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LeafValue(Stored);

#[derive(Debug, Clone, PartialEq)]
enum Stored {
    /// The value; `None` removes the leaf.
    Whole(Option<CanonicalJson>),
    /// An edit of what the profile holds before.
    Edit(Edit),
}

impl LeafValue {
    /// Returns the shortest form of `target` for a reader who has `before`.
    pub(super) fn between(leaf: Leaf, before: &Profile, target: Option<&CanonicalJson>) -> Self {
        let edit = || Edit::between(leaf, &Base::new(leaf, before)?, target?.as_str());
        Self(edit().map_or_else(|| Stored::Whole(target.cloned()), Stored::Edit))
    }

    /// Returns a value that is stored whole.
    pub(super) fn whole(value: Option<CanonicalJson>) -> Self {
        Self(Stored::Whole(value))
    }

    fn resolve(&self, leaf: Leaf, before: &Profile) -> Result<Option<CanonicalJson>, DecodeError> {
        match &self.0 {
            Stored::Whole(value) => Ok(value.clone()),
            Stored::Edit(edit) => {
                let base = Base::new(leaf, before).ok_or(DecodeError::Unknown { what: "base of an edit" })?;
                edit.apply(&base).map(Some)
            }
        }
    }
}

/// Gives `leaves` their values.
pub(super) fn set_leaves(profile: &mut Profile, leaves: &[(Leaf, LeafValue)]) -> Result<(), DecodeError> {
    // Every edit refers to the profile before any of them is applied.
    let before = profile.clone();
    for (leaf, value) in leaves {
        profile.set(*leaf, value.resolve(*leaf, &before)?);
    }
    Ok(())
}

impl Writer {
    pub(super) fn leaf(&mut self, leaf: Leaf, value: &LeafValue) {
        match &value.0 {
            Stored::Whole(value) => {
                self.u8(leaf.field().number);
                self.value(value.as_ref());
            }
            Stored::Edit(edit) => {
                self.u8(leaf.field().number | EDITED);
                self.bytes(&edit.0);
            }
        }
    }
}

impl Reader<'_> {
    pub(super) fn leaf_value(&mut self) -> Result<(Leaf, LeafValue), DecodeError> {
        let number = self.u8()?;
        let leaf = Leaf::from_number(number & !EDITED).ok_or(DecodeError::Unknown { what: "leaf" })?;
        let stored = if number & EDITED == 0 {
            Stored::Whole(self.value()?)
        } else {
            Stored::Edit(Edit(Bytes::copy_from_slice(self.bytes()?)))
        };
        Ok((leaf, LeafValue(stored)))
    }
}
