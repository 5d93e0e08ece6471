//! `eligibility.batch.computed`: the whole verdict, which replaces the one before.

use super::Location;
use super::check::Members;
use super::draft::{Draft, find};
use crate::table::Leaf;

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, _) in data.iter().filter(|(name, _)| name != "schemes") {
        draft.refuse(name, &at.member(name));
    }
    match find(data, "schemes") {
        Some(schemes) => draft.leaf(Leaf::EligibilityEligibleSchemes, schemes, &at.member("schemes")),
        None => draft.missing(at, "schemes"),
    }
}
