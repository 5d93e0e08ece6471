//! Opening the segments of a category at start-up, and repairing what a crash has interrupted.
//!
//! Only the last group of lines can be incomplete, since the group before it was synced. Its bytes are moved into a file of
//! their own, so that nothing disappears, and none of its entries was acknowledged. A whole line that does not follow from
//! the one before is not the work of a crash: the start is refused.

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::port::audit::AuditCategory;

use super::catalogue::Catalogue;
use super::category_log::{CategoryLog, write_index};
use super::entry_text::CHAIN_START;
use super::files::AuditFiles;
use super::index::{IndexBuilder, IndexFile};
use super::keys::AuditKeys;
use super::line_scan::{ChainCursor, LineFault, LineScan, RawLine};
use super::merkle::{TreeHash, leaf_hash};
use super::retention::remove_files;
use super::segment::{MAX_LINE_BYTES, Segment};
use super::segment_header::SegmentHeader;
use super::stub::Stub;
use super::tree_head::ChainHead;
use crate::disk::{DiskFile, read_full_at};
use crate::error::OpenError;

const WHAT: &str = "the audit log";
/// Maximum number of bytes of a group, which is written at once.
const MAX_GROUP_BYTES: u64 = 16 << 20;

/// A category that was opened.
pub(super) struct RecoveredCategory {
    pub(super) log: CategoryLog,
    /// The number of entries before the first one that no index has. Their nodes are durable.
    pub(super) indexed: u64,
    /// Bytes that were moved away.
    pub(super) torn_bytes: u64,
}

/// Opens the segments of a category.
pub(super) fn recover(
    files: &AuditFiles,
    keys: &AuditKeys,
    category: AuditCategory,
    catalogue: &Catalogue,
) -> Result<RecoveredCategory, OpenError> {
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: files.path().to_owned(), source };
    let mut head = last_stub(files, keys, category)?;
    let months = files.months(category.name(), ".log").map_err(failed)?;
    let (mut indexed, mut torn_bytes, mut open) = (None, 0, None);
    for (position, month) in months.iter().enumerate() {
        let path = files.segment(category, *month);
        let file = files.disk.open(&path).map_err(failed)?;
        let header = read_header(&*file).map_err(failed)?.ok_or_else(|| damaged(&path, "its first line"))?;
        if (header.category, header.month) != (category, *month) {
            return Err(damaged(&path, "its first line, which belongs to another segment"));
        }
        if header.before() != head {
            return Err(damaged(&path, "its start, which does not continue the segment before"));
        }
        let is_last = position + 1 == months.len();
        let opened = open_segment(files, keys, header, file, is_last)?;
        if !is_last && opened.scanned > 0 {
            write_index(files, &opened.segment).map_err(failed)?;
        }
        head = ChainHead { count: opened.segment.last_seq(), chain: opened.segment.recent().summary().last_chain };
        if opened.scanned > 0 {
            indexed.get_or_insert(head.count - opened.scanned);
        }
        torn_bytes += opened.torn_bytes;
        catalogue.add(category, Arc::clone(&opened.segment));
        open = Some(opened.segment);
    }
    let log = CategoryLog::new(category, files.clone(), open, head);
    Ok(RecoveredCategory { log, indexed: indexed.unwrap_or(head.count), torn_bytes })
}

/// Returns the head of the chain after the last removed segment, and completes its removal.
fn last_stub(files: &AuditFiles, keys: &AuditKeys, category: AuditCategory) -> Result<ChainHead, OpenError> {
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: files.path().to_owned(), source };
    let mut head = ChainHead { count: 0, chain: CHAIN_START };
    for month in files.months(category.name(), ".stub").map_err(failed)? {
        let path = files.stub(category, month);
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let stub = Stub::verify(text.trim_end(), &keys.verifying_key());
        let stub = stub.filter(|stub| (stub.header.category, stub.header.month) == (category, month));
        let stub = stub.ok_or_else(|| damaged(&path, "its signature"))?;
        remove_files(files, &stub.header).map_err(failed)?;
        head = ChainHead { count: stub.last_seq, chain: stub.last_chain };
    }
    Ok(head)
}

struct OpenedSegment {
    segment: Arc<Segment>,
    /// Number of lines that no part of the index had.
    scanned: u64,
    torn_bytes: u64,
}

fn open_segment(
    files: &AuditFiles,
    keys: &AuditKeys,
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    is_last: bool,
) -> Result<OpenedSegment, OpenError> {
    let path = files.segment(header.category, header.month);
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: path.clone(), source };
    let runs = index_parts(files, &header).map_err(failed)?;
    let (offset, seq, chain) = match runs.last() {
        Some(run) => (run.summary.to, run.summary.last_seq, run.summary.last_chain),
        None => (header.to_line().len() as u64, header.first_seq - 1, header.previous_chain),
    };
    if offset > file.length().map_err(failed)? {
        return Err(damaged(&path, "its end, which is missing"));
    }
    let (mut cursor, mut recent) = (ChainCursor { seq, chain }, IndexBuilder::new(offset, seq, chain));
    let mut scan = LineScan::new(&*file, offset);
    let mut torn_bytes = 0;
    while let Some(raw) = scan.next().map_err(failed)? {
        match cursor.follow(&raw, &header, Some(keys.chain_key())) {
            Ok((line, _)) => recent.add(line),
            Err(LineFault::Malformed) if is_last => {
                torn_bytes = move_torn_end(files, &header, &*file, &raw).map_err(failed)?;
                break;
            }
            Err(_) => return Err(damaged(&path, &format!("the entry after number {}", cursor.seq))),
        }
    }
    let scanned = recent.lines();
    let segment = Arc::new(Segment::new(header, file, runs, recent));
    Ok(OpenedSegment { segment, scanned, torn_bytes })
}

/// Returns the parts of a segment's index that are there without a gap.
fn index_parts(files: &AuditFiles, header: &SegmentHeader) -> io::Result<Vec<Arc<IndexFile>>> {
    let (category, month) = (header.category, header.month);
    let mut paths = vec![files.index(category, month)];
    paths.extend(files.runs(category, month)?.into_iter().map(|number| files.run(category, month, number)));
    let (mut parts, mut end) = (Vec::new(), header.to_line().len() as u64);
    for path in paths {
        let Some(part) = IndexFile::open(&*files.disk, &path)? else { continue };
        // The index of the whole segment replaces the parts before it, which may still be there.
        if part.summary.from == end && part.postings()?.is_some() {
            end = part.summary.to;
            parts.push(Arc::new(part));
        }
    }
    Ok(parts)
}

/// Moves everything from a line on into a file of its own, and returns the number of bytes.
fn move_torn_end(files: &AuditFiles, header: &SegmentHeader, file: &dyn DiskFile, line: &RawLine) -> io::Result<u64> {
    let length = file.length()? - line.offset;
    if length > MAX_GROUP_BYTES {
        return Err(io::Error::other("more bytes are damaged than a crash can leave"));
    }
    let mut bytes = vec![0; length as usize];
    let filled = read_full_at(file, &mut bytes, line.offset)?;
    files.write_file(&files.torn(header.category, header.month, line.offset), &bytes[..filled])?;
    file.truncate(line.offset)?;
    file.sync_data()?;
    Ok(length)
}

/// Reads the first line of a segment; `None` if it is not a header.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<Option<SegmentHeader>> {
    let mut bytes = vec![0; MAX_LINE_BYTES.min(4_096) as usize];
    let filled = read_full_at(file, &mut bytes, 0)?;
    let line = bytes[..filled].split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    Ok(line.and_then(SegmentHeader::parse))
}

pub(super) fn damaged(path: &Path, what: &str) -> OpenError {
    OpenError::Damaged { what: WHAT, detail: format!("`{}`: {what} does not fit; see `verify-audit`", path.display()) }
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

/// Returns the latest time that is known from segments, in microseconds since the Unix epoch.
pub(super) fn newest_time(segments: &[Arc<Segment>]) -> i64 {
    segments.iter().map(|segment| segment.times().1.max(segment.header.month.start())).max().unwrap_or(0)
}
