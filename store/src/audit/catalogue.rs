//! The segments that exist, as the readers see them.

use std::sync::Arc;

use domain::port::audit::AuditCategory;
use parking_lot::RwLock;

use super::month::Month;
use super::segment::Segment;

/// The segments of all categories, the oldest first.
#[derive(Default)]
pub(super) struct Catalogue(RwLock<[Vec<Arc<Segment>>; AuditCategory::COUNT]>);

impl Catalogue {
    /// Adds the newest segment of a category.
    pub(super) fn add(&self, category: AuditCategory, segment: Arc<Segment>) {
        self.0.write()[category as usize].push(segment);
    }

    /// Returns the segments of a category, the oldest first.
    pub(super) fn segments(&self, category: AuditCategory) -> Vec<Arc<Segment>> {
        self.0.read()[category as usize].clone()
    }

    /// Removes a segment.
    pub(super) fn remove(&self, category: AuditCategory, month: Month) {
        self.0.write()[category as usize].retain(|segment| segment.header.month != month);
    }
}
