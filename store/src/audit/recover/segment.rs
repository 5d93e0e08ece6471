//! Reads one segment with its index at start-up.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use domain::port::audit::AuditCategory;

use super::fault::damaged;
use super::repair::Repair;
use crate::audit::category_log::MAX_UNSYNCED_BYTES;
use crate::audit::files::AuditFiles;
use crate::audit::index::IndexFile;
use crate::audit::keys::AuditKeys;
use crate::audit::line_scan::{ChainCursor, LineFault, LineScan};
use crate::audit::month::Month;
use crate::audit::segment::{MAX_LINE_BYTES, Segment};
use crate::audit::segment_header::SegmentHeader;
use crate::audit::tree_head::ChainHead;
use crate::disk::{DiskFile, read_full_at};
use crate::error::OpenError;

/// Maximum number of bytes that a crash leaves incomplete. The writer syncs after [`MAX_UNSYNCED_BYTES`] and one line more
/// at the latest.
const MAX_TORN_BYTES: u64 = MAX_UNSYNCED_BYTES + 2 * MAX_LINE_BYTES;

/// A segment that was read.
pub(super) struct ReadSegment {
    pub(super) segment: Arc<Segment>,
    /// Number of lines that no run of the index had.
    pub(super) scanned: u64,
    pub(super) repairs: Vec<Repair>,
}

/// Reads the segment of a category and month, which follows `before`. Only the last one of a category is open, and can end
/// with lines that a crash has left incomplete.
pub(super) fn read_segment(
    files: &AuditFiles,
    keys: &AuditKeys,
    (category, month): (AuditCategory, Month),
    before: ChainHead,
    is_last: bool,
    run_lines: u64,
) -> Result<ReadSegment, OpenError> {
    let path = files.segment(category, month);
    let failed = |source| OpenError::Disk { doing: "read the audit log in", path: path.clone(), source };
    let file = files.disk.open(&path).map_err(failed)?;
    let header = read_header(&*file).map_err(failed)?.ok_or_else(|| damaged(&path, "its first line"))?;
    if (header.category, header.month) != (category, month) {
        return Err(damaged(&path, "its first line, which belongs to another segment"));
    }
    if header.before() != before {
        return Err(damaged(&path, "its start, which does not continue the segment before"));
    }
    let (runs, unused) = read_runs(files, &header).map_err(failed)?;
    let mut repairs: Vec<Repair> = unused.into_iter().map(Repair::RemoveIndex).collect();
    let segment = Arc::new(Segment::new(header, Arc::clone(&file), runs, run_lines));
    let length = file.length().map_err(failed)?;
    if segment.end() > length {
        return Err(damaged(&path, "its end, which is missing"));
    }
    let (mut cursor, mut scanned) = (ChainCursor { head: segment.head() }, 0);
    let mut scan = LineScan::new(&*file, segment.end());
    while let Some(raw) = scan.next().map_err(failed)? {
        match cursor.follow(&raw, &header, Some(keys.chain_key())) {
            Ok((line, _)) => segment.publish(&[line]),
            Err(LineFault::Malformed) if is_last && length - raw.offset <= MAX_TORN_BYTES => {
                let (file, offset, bytes) = (Arc::clone(&file), raw.offset, length - raw.offset);
                repairs.push(Repair::MoveTornEnd { header, file, offset, bytes });
                break;
            }
            Err(_) => return Err(damaged(&path, &format!("the entry after number {}", cursor.head.count))),
        }
        scanned += 1;
    }
    if !is_last {
        segment.close();
    }
    Ok(ReadSegment { segment, scanned, repairs })
}

/// Returns the runs of a segment's index that follow each other from its first line on, and the files of the others. Where
/// a crash has left a merged run beside those that it was made of, the longer one is used.
fn read_runs(files: &AuditFiles, header: &SegmentHeader) -> io::Result<(Vec<Arc<IndexFile>>, Vec<PathBuf>)> {
    let (category, month) = (header.category, header.month);
    let mut paths = vec![files.index(category, month)];
    paths.extend(files.runs(category, month)?.into_iter().map(|number| files.run(category, month, number)));
    paths.retain(|path| path.exists());
    let (mut candidates, mut unused) = (Vec::new(), Vec::new());
    for path in paths {
        match IndexFile::open(&*files.disk, &path)? {
            Some(index) => candidates.push(index),
            None => unused.push(path),
        }
    }
    let (mut runs, mut end) = (Vec::new(), header.start());
    candidates.sort_by_key(|index| index.summary.to);
    while let Some(longest) = candidates.iter().rposition(|index| index.summary.from == end) {
        let longest = candidates.remove(longest);
        if longest.summary.to > end && longest.is_intact()? {
            end = longest.summary.to;
            runs.push(Arc::new(longest));
        } else {
            unused.push(longest.path);
        }
    }
    unused.extend(candidates.into_iter().map(|index| index.path));
    Ok((runs, unused))
}

/// Reads the first line of a segment; `None` if it is not a header.
pub(in crate::audit) fn read_header(file: &dyn DiskFile) -> io::Result<Option<SegmentHeader>> {
    let mut bytes = vec![0; MAX_LINE_BYTES.min(4_096) as usize];
    let filled = read_full_at(file, &mut bytes, 0)?;
    let line = bytes[..filled].split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    Ok(line.and_then(SegmentHeader::parse))
}
