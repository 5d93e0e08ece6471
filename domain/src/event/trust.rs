//! `trust.score.updated`: trust, and the adjudication between sources.

use super::check::Members;
use super::draft::Draft;
use super::shape::Shape;
use super::{Location, RegisterPath};
use crate::table::Leaf;

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, value) in data {
        let here = at.member(name);
        match name.as_ref() {
            "overall_confidence" => draft.leaf(Leaf::TrustOverallConfidence, value, &here),
            "source_trace" => draft.leaf(Leaf::TrustSourceTrace, value, &here),
            "source_confidence" => {
                draft.register(RegisterPath::SourceConfidence, Shape::SourceConfidence, value, &here);
            }
            _ => draft.refuse(name, &here),
        }
    }
}
