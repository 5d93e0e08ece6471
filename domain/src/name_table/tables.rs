//! The name table of each schema version.

use std::sync::LazyLock;

use super::{Difference, NameTable, Projection};
use crate::table::{Leaf, LeafSet, Member};

/// Version 2.0, whose names are those of the field table.
pub(crate) static V2_0: LazyLock<NameTable> = LazyLock::new(|| NameTable::from_fields("2.0"));

/// Version 1.0, for older consumers.
pub(crate) static V1_0: LazyLock<NameTable> = LazyLock::new(|| {
    V2_0.with(&Difference {
        version: "1.0",
        has_revision: false,
        omitted: LeafSet::ALL.without(V1_0_LEAVES),
        renamed: &[(Leaf::DeadlinesUpcoming, "upcoming_deadlines")],
        projected: &[(
            Leaf::EligibilityEligibleSchemes,
            Projection::ItemMembers(&["application_status", "scheme_id", "scheme_name"]),
        )],
    })
});

/// The leaves that version 1.0 has.
pub(crate) const V1_0_LEAVES: LeafSet = LeafSet::ALL
    .without(Member::RiskScores.leaves())
    .without(Member::Predictions.leaves())
    .without(Member::Trust.leaves())
    .without(Member::CohortTags.leaves())
    .without(LeafSet::only(Leaf::DeadlinesOverdue))
    .without(LeafSet::only(Leaf::DeadlinesCompletedLast90d));
