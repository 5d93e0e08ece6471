//! Reading the segments of a category at start-up, and finding out what a crash has interrupted. Nothing is changed here:
//! what is to be done is a list of repairs, for when everything was checked.
//!
//! Only the lines after the last sync can be incomplete. Their bytes are moved into a file of their own, so that nothing
//! disappears, and none of their entries was acknowledged. A whole line that does not follow from the one before is not the
//! work of a crash: the start is refused.

mod fault;
mod repair;
mod segment;

use std::io;
use std::sync::Arc;

use domain::port::audit::AuditCategory;

use super::category_log::CategoryLog;
use super::files::AuditFiles;
use super::keys::AuditKeys;
use super::line_scan::LineScan;
use super::merkle::{TreeHash, leaf_hash};
use super::month::Month;
use super::segment::Segment;
use super::stub::Stub;
use super::tree_head::ChainHead;
use crate::error::OpenError;

pub(super) use fault::damaged;
pub(super) use repair::Repair;
pub(super) use segment::read_header;
use segment::read_segment;

/// A category that was read.
pub(super) struct RecoveredCategory {
    pub(super) log: CategoryLog,
    /// The segments, the oldest first.
    pub(super) segments: Vec<Arc<Segment>>,
    /// The number of entries before the first one that no index has. Their nodes are durable.
    pub(super) indexed: u64,
    /// What is to be done before the log goes on.
    pub(super) repairs: Vec<Repair>,
}

impl RecoveredCategory {
    /// Returns the number of bytes that are to be moved away.
    pub(super) fn torn_bytes(&self) -> u64 {
        self.repairs.iter().map(Repair::torn_bytes).sum()
    }
}

/// Reads the segments of a category. Runs of its index have `run_lines` lines.
pub(super) fn recover(
    files: &AuditFiles,
    keys: &AuditKeys,
    category: AuditCategory,
    run_lines: u64,
) -> Result<RecoveredCategory, OpenError> {
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: files.path().to_owned(), source };
    let mut repairs = Vec::new();
    let (removed, mut head) = read_stubs(files, keys, category, &mut repairs)?;
    let mut months = files.months(category.name(), ".log").map_err(failed)?;
    // A removal that was interrupted is completed.
    months.retain(|month| !removed.contains(month));
    let (mut indexed, mut segments) = (None, Vec::new());
    for (position, month) in months.iter().enumerate() {
        let is_last = position + 1 == months.len();
        let read = read_segment(files, keys, (category, *month), head, is_last, run_lines)?;
        head = read.segment.head();
        if read.scanned > 0 {
            indexed.get_or_insert(head.count - read.scanned);
        }
        repairs.extend(read.repairs);
        segments.push(read.segment);
    }
    let log = CategoryLog::new(category, files.clone(), segments.last().cloned(), head, run_lines);
    Ok(RecoveredCategory { log, segments, indexed: indexed.unwrap_or(head.count), repairs })
}

/// Returns the months of removed segments, and where the chain stands after the last one.
fn read_stubs(
    files: &AuditFiles,
    keys: &AuditKeys,
    category: AuditCategory,
    repairs: &mut Vec<Repair>,
) -> Result<(Vec<Month>, ChainHead), OpenError> {
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: files.path().to_owned(), source };
    let mut head = ChainHead::EMPTY;
    let months = files.months(category.name(), ".stub").map_err(failed)?;
    for month in &months {
        let path = files.stub(category, *month);
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let stub = Stub::verify(text.trim_end(), &keys.verifying_key());
        let stub = stub.filter(|stub| (stub.header.category, stub.header.month) == (category, *month));
        let stub = stub.ok_or_else(|| damaged(&path, "its signature"))?;
        if stub.header.before() != head {
            return Err(damaged(&path, "its start, which does not continue the segment before"));
        }
        repairs.push(Repair::RemoveSegment(stub.header));
        head = stub.last;
    }
    Ok((months, head))
}

/// Reads the leaves of the entries `from` to `to` (their numbers) again, for a tree whose nodes are missing.
pub(super) fn read_leaves(segments: &[Arc<Segment>], from: u64, to: u64) -> io::Result<Vec<TreeHash>> {
    let mut leaves = Vec::new();
    for segment in segments {
        if segment.last_seq() < from || segment.header.first_seq > to {
            continue;
        }
        let (mut scan, mut seq) = (LineScan::new(&*segment.file, segment.start), segment.header.first_seq);
        while let Some(raw) = scan.next()?.filter(|raw| raw.is_complete && raw.end() <= segment.end()) {
            if (from..=to).contains(&seq) {
                leaves.push(leaf_hash(&raw.bytes));
            }
            seq += 1;
        }
    }
    Ok(leaves)
}
