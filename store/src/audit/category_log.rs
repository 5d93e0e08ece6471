//! The chain and the open segment of one category, as the writer holds them.

use std::io;
use std::sync::Arc;

use domain::port::audit::{AuditCategory, AuditEntry, AuditReceipt};

use super::entry_text::{Place, write_line};
use super::files::AuditFiles;
use super::index::IndexedLine;
use super::keys::AuditKeys;
use super::merkle::{TreeHash, leaf_hash};
use super::month::Month;
use super::segment::Segment;
use super::segment_header::SegmentHeader;
use super::tree_head::ChainHead;
use crate::disk::write_all_at;

/// Bytes after which what was written is synced, whether or not somebody waits for it. Start-up relies on it: a crash leaves
/// little more than this to be moved away.
pub(super) const MAX_UNSYNCED_BYTES: u64 = 8 << 20;

/// Where the next line goes.
#[derive(Debug, Clone, Copy)]
struct Tail {
    offset: u64,
    head: ChainHead,
}

/// The log of a category. What was written and is not synced yet is `staged`: no reader sees it, and a failed sync takes it
/// back.
pub(super) struct CategoryLog {
    category: AuditCategory,
    files: AuditFiles,
    /// Number of lines of a run of the index.
    run_lines: u64,
    segment: Option<Arc<Segment>>,
    written: Tail,
    synced: Tail,
    staged: Vec<StagedLine>,
    /// Set when it is unknown what the file holds. Start-up finds out.
    is_broken: bool,
}

struct StagedLine {
    line: IndexedLine,
    /// The hash of the leaf, for compliance entries.
    leaf: Option<TreeHash>,
}

impl CategoryLog {
    /// Returns the log that continues `segment`, or `head` where there is none.
    pub(super) fn new(
        category: AuditCategory,
        files: AuditFiles,
        segment: Option<Arc<Segment>>,
        head: ChainHead,
        run_lines: u64,
    ) -> Self {
        let tail = Tail { offset: segment.as_ref().map_or(0, |segment| segment.end()), head };
        let (written, synced, staged) = (tail, tail, Vec::new());
        Self { category, files, run_lines, segment, written, synced, staged, is_broken: false }
    }

    /// Returns the head of what is durable.
    pub(super) fn head(&self) -> ChainHead {
        self.synced.head
    }

    /// Returns the open segment.
    pub(super) fn segment(&self) -> Option<&Arc<Segment>> {
        self.segment.as_ref()
    }

    /// Returns whether something was written and not synced.
    pub(super) fn is_dirty(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Returns whether so much was written that it has to be synced.
    pub(super) fn needs_sync(&self) -> bool {
        self.written.offset - self.synced.offset >= MAX_UNSYNCED_BYTES
    }

    /// Returns whether the log takes no more entries.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns the month of the open segment.
    pub(super) fn month(&self) -> Option<Month> {
        self.segment.as_ref().map(|segment| segment.header.month)
    }

    /// Writes the first entries, all with the time `now`, and returns where they are: as many as may be written before the
    /// next sync, and one at least. None is written if that fails.
    pub(super) fn write(
        &mut self,
        entries: &[AuditEntry],
        now: i64,
        keys: &AuditKeys,
    ) -> io::Result<Vec<AuditReceipt>> {
        let Some(segment) = self.segment.clone().filter(|_| !self.is_broken) else {
            return Err(io::Error::other("the segment is not open"));
        };
        let (mut text, mut tail) = (String::new(), self.written);
        let (mut staged, mut receipts) = (Vec::new(), Vec::new());
        for entry in entries {
            let (start, seq) = (text.len(), tail.head.count + 1);
            let chain = write_line(&mut text, entry, Place { seq, time: now, previous: tail.head.chain }, keys);
            let line = &text.as_bytes()[start..];
            let leaf = (self.category == AuditCategory::Compliance).then(|| leaf_hash(line));
            let head = tail.head.after(chain, line);
            text.push('\n');
            let (offset, end) = (tail.offset, tail.offset + (text.len() - start) as u64);
            let subject = entry.subject.map(|user| keys.subject_hash(&user).prefix());
            staged.push(StagedLine { line: IndexedLine { subject, offset, end, head, time: now }, leaf });
            receipts.push(AuditReceipt { category: self.category, seq, time: now, leaf: leaf.map(|_| seq - 1) });
            tail = Tail { offset: end, head };
            if tail.offset - self.synced.offset >= MAX_UNSYNCED_BYTES {
                break;
            }
        }
        if let Err(failed) = write_all_at(&*segment.file, text.as_bytes(), self.written.offset) {
            if failed.partial {
                self.cut_to(self.written.offset, &segment);
            }
            return Err(failed.source);
        }
        self.written = tail;
        self.staged.append(&mut staged);
        Ok(receipts)
    }

    /// Makes what was written durable and visible, and returns the hashes of the new leaves. If that fails, everything since
    /// the last sync is taken back.
    pub(super) fn sync(&mut self) -> io::Result<Vec<TreeHash>> {
        let Some(segment) = self.segment.clone().filter(|_| self.is_dirty()) else { return Ok(Vec::new()) };
        if let Err(error) = segment.file.sync_data() {
            self.cut_to(self.synced.offset, &segment);
            self.written = self.synced;
            self.staged.clear();
            return Err(error);
        }
        self.synced = self.written;
        let staged = std::mem::take(&mut self.staged);
        let lines: Vec<IndexedLine> = staged.iter().map(|staged| staged.line).collect();
        segment.publish(&lines);
        Ok(staged.into_iter().filter_map(|staged| staged.leaf).collect())
    }

    /// Removes what a failed write or sync has left behind an offset.
    fn cut_to(&mut self, offset: u64, segment: &Segment) {
        let cut = segment.file.truncate(offset).and_then(|()| segment.file.sync_data());
        if let Err(error) = cut {
            self.is_broken = true;
            let category = self.category.name();
            tracing::error!("the audit log of {category} takes no entries until the next start: {error}");
        }
    }

    /// Opens a new segment for a month, and closes the one before. Everything is synced.
    pub(super) fn start_segment(&mut self, month: Month) -> io::Result<Arc<Segment>> {
        let header = SegmentHeader::after(self.synced.head, self.category, month);
        let line = header.to_line();
        let file = self.files.write_file(&self.files.segment(self.category, month), line.as_bytes())?;
        let segment = Arc::new(Segment::new(header, file, Vec::new(), self.run_lines));
        self.written.offset = line.len() as u64;
        self.synced = self.written;
        if let Some(before) = self.segment.replace(Arc::clone(&segment)) {
            before.close();
        }
        Ok(segment)
    }
}
