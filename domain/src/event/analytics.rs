//! `analytics.cohort.computed`: cohort tags, and metrics that are kept but not shown.

use super::check::Members;
use super::draft::Draft;
use super::shape::Shape;
use super::{Location, RegisterPath};
use crate::table::Leaf;

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, value) in data {
        let here = at.member(name);
        match name.as_ref() {
            "cohort_tags" => draft.leaf(Leaf::CohortTags, value, &here),
            "aggregated_metrics" => draft.register(RegisterPath::AggregatedMetrics, Shape::Metrics, value, &here),
            _ => draft.refuse(name, &here),
        }
    }
}
