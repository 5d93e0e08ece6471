//! A page of entries out of several categories.

use std::io;

use domain::port::audit::AuditCategory;
use domain::port::audit_trail::{AuditCursor, AuditPage, AuditQuery, AuditRecord};

use super::filter::Filter;
use super::walk::{Step, Walk};
use crate::audit::catalogue::Catalogue;
use crate::audit::keys::AuditKeys;

/// Maximum number of bytes that are read for a page, over all categories.
const PAGE_BUDGET: u64 = 64 << 20;

/// A category's walk and the entry that it stands before.
struct Lane<'a> {
    category: AuditCategory,
    walk: Walk<'a>,
    /// The number below which a page that ends here goes on.
    before: u64,
    next: Option<AuditRecord>,
    is_out_of_budget: bool,
}

impl Lane<'_> {
    fn advance(&mut self) -> io::Result<()> {
        self.before = self.walk.position();
        self.next = match self.walk.next()? {
            Step::Record(record) => Some(record),
            Step::OutOfBudget => {
                (self.before, self.is_out_of_budget) = (self.walk.position(), true);
                None
            }
            Step::End => {
                self.before = 0;
                None
            }
        };
        Ok(())
    }
}

/// Reads a page, the newest entry first.
pub(in crate::audit) fn read_page(
    query: &AuditQuery,
    catalogue: &Catalogue,
    keys: &AuditKeys,
) -> io::Result<AuditPage> {
    let filter = Filter::new(query, keys);
    let before = query.cursor.map_or([u64::MAX; AuditCategory::COUNT], |cursor| cursor.before);
    let budget = PAGE_BUDGET / query.categories.len().max(1) as u64;
    let lane = |category: AuditCategory| {
        let before = before[category as usize];
        let walk = Walk::new(&filter, catalogue.segments(category), before, budget);
        let mut lane = Lane { category, walk, before, next: None, is_out_of_budget: false };
        lane.advance().map(|()| lane)
    };
    let wanted = AuditCategory::ALL.into_iter().filter(|category| query.categories.contains(category));
    let mut lanes = wanted.map(lane).collect::<io::Result<Vec<Lane<'_>>>>()?;
    let mut records = Vec::new();
    while records.len() < query.limit && !lanes.iter().any(|lane| lane.is_out_of_budget) {
        let time = |lane: &&mut Lane<'_>| lane.next.as_ref().map(|record| record.receipt.time);
        let Some(newest) = lanes.iter_mut().filter(|lane| lane.next.is_some()).max_by_key(time) else { break };
        records.extend(newest.next.take());
        newest.advance()?;
    }
    let has_more = lanes.iter().any(|lane| lane.next.is_some() || lane.is_out_of_budget);
    let mut next = AuditCursor { before };
    for lane in &lanes {
        next.before[lane.category as usize] = lane.before;
    }
    Ok(AuditPage { records, next: has_more.then_some(next) })
}
