//! `prediction.generated`: predictions and risks.

use super::Location;
use super::check::Members;
use super::draft::{Draft, writable};
use crate::table::{Leaf, Member};

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, value) in data {
        let here = at.member(name);
        match name.as_ref() {
            "predicted_events" => draft.leaf(Leaf::PredictionsPredictedEvents, value, &here),
            "recommended_actions" => draft.leaf(Leaf::PredictionsRecommendedActions, value, &here),
            "risk_scores" => draft.section(Member::RiskScores, writable(Member::RiskScores), value, &here),
            _ => draft.refuse(name, &here),
        }
    }
}
