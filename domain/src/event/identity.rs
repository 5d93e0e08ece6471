//! `identity.verified`: identity, token and address, as verified.

use super::check::Members;
use super::draft::{Draft, writable};
use super::{EventFault, EventProblem, Location};
use crate::table::{Leaf, LeafSet, Member};

/// The members of an address: shared leaves, which identity writes as `verified`.
const ADDRESS: LeafSet = LeafSet::only(Leaf::DemographicsState)
    .or(LeafSet::only(Leaf::DemographicsDistrict))
    .or(LeafSet::only(Leaf::DemographicsPincode));

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, value) in data {
        let here = at.member(name);
        match name.as_ref() {
            "identity" => draft.section(Member::Identity, writable(Member::Identity), value, &here),
            "identity_token" => draft.leaf(Leaf::IdentityToken, value, &here),
            "address" => draft.section(Member::Demographics, ADDRESS, value, &here),
            "registration" => match value.as_bool() {
                Some(registration) => draft.registration = registration,
                None => draft.fault(EventFault::new(EventProblem::WrongType, &here, "must be `true` or `false`")),
            },
            _ => draft.refuse(name, &here),
        }
    }
}
