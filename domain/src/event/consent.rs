//! `user.consent.updated`: what the citizen consents to. The data is the section itself.

use super::Location;
use super::check::Members;
use super::draft::Draft;
use crate::table::{Leaf, Member};

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, value) in data {
        let here = at.member(name);
        match Leaf::in_member(Member::Consent, name) {
            Some(leaf) => draft.leaf(leaf, value, &here),
            None => draft.refuse(name, &here),
        }
    }
}
