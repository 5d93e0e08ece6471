//! Reads through the history of a profile: earlier revisions, differences, and the list of revisions. All of them are shown
//! under today's mask.

mod difference;
mod fault;
mod point;
mod revisions;

pub(super) use difference::{delta, diff};
pub(super) use fault::past;
pub(super) use point::of_view;
pub(super) use revisions::get as revisions;

use domain::port::audit::AuditValue;

/// Returns a revision as the audit log has it.
pub(super) fn audited(revision: u64) -> AuditValue {
    AuditValue::Integer(i64::try_from(revision).unwrap_or(i64::MAX))
}
