//! The chain and the open segment of one category, as the writer holds them.

use std::io;
use std::sync::Arc;

use domain::port::audit::{AuditCategory, AuditEntry, AuditReceipt};

use super::entry_text::{Place, write_line};
use super::files::AuditFiles;
use super::index::{IndexBuilder, IndexFile, IndexedLine, merge};
use super::keys::AuditKeys;
use super::merkle::{TreeHash, leaf_hash};
use super::month::Month;
use super::segment::Segment;
use super::segment_header::SegmentHeader;
use super::tree_head::ChainHead;
use crate::disk::write_all_at;

/// Lines after which a part of the index of the open segment is written.
const RUN_LINES: u64 = 65_536;

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
    ) -> Self {
        let tail = Tail { offset: segment.as_ref().map_or(0, |segment| segment.end()), head };
        Self { category, files, segment, written: tail, synced: tail, staged: Vec::new(), is_broken: false }
    }

    /// Returns the head of what is durable.
    pub(super) fn head(&self) -> ChainHead {
        self.synced.head
    }

    /// Returns whether something was written and not synced.
    pub(super) fn is_dirty(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Returns whether the log takes no more entries.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns the month of the open segment.
    pub(super) fn month(&self) -> Option<Month> {
        self.segment.as_ref().map(|segment| segment.header.month)
    }

    /// Writes entries, all with the time `now`, and returns where they are. None is written if that fails.
    pub(super) fn write(
        &mut self,
        entries: &[&AuditEntry],
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
            let leaf = (self.category == AuditCategory::Compliance).then(|| leaf_hash(&text.as_bytes()[start..]));
            text.push('\n');
            let (offset, end) = (tail.offset, tail.offset + (text.len() - start) as u64);
            let subject = entry.subject.map(|user| keys.subject_hash(&user).prefix());
            staged.push(StagedLine { line: IndexedLine { subject, offset, end, seq, chain, time: now }, leaf });
            receipts.push(AuditReceipt { category: self.category, seq, time: now, leaf: leaf.map(|_| seq - 1) });
            tail = Tail { offset: end, head: ChainHead { count: seq, chain } };
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

    /// Opens a new segment for a month. Everything is synced.
    pub(super) fn start_segment(&mut self, month: Month) -> io::Result<Arc<Segment>> {
        let ChainHead { count, chain } = self.synced.head;
        let header = SegmentHeader { category: self.category, month, first_seq: count + 1, previous_chain: chain };
        let line = header.to_line();
        let file = self.files.write_file(&self.files.segment(self.category, month), line.as_bytes())?;
        let recent = IndexBuilder::new(line.len() as u64, count, chain);
        let segment = Arc::new(Segment::new(header, file, Vec::new(), recent));
        self.written.offset = line.len() as u64;
        self.synced = self.written;
        self.segment = Some(Arc::clone(&segment));
        Ok(segment)
    }

    /// Returns whether enough lines have come for a part of the index.
    pub(super) fn needs_run(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.recent_lines() >= RUN_LINES)
    }

    /// Writes the part of the index that has the newest lines.
    pub(super) fn write_run(&self) -> io::Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let (recent, mut runs) = (segment.recent(), segment.runs());
        let month = segment.header.month;
        let number = self.files.runs(self.category, month)?.last().map_or(1, |last| last + 1);
        let path = self.files.run(self.category, month, number);
        let file = self.files.write_file(&path, &IndexFile::encode(&recent.summary(), &recent.sorted()))?;
        runs.push(Arc::new(IndexFile::read(file)?.ok_or_else(damaged_index)?));
        segment.set_runs(runs);
        Ok(())
    }

    /// Writes the index of the whole open segment, before another one is opened.
    pub(super) fn write_index(&self) -> io::Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        write_index(&self.files, segment)
    }
}

/// Writes the index of all lines of a segment, in place of its parts.
pub(super) fn write_index(files: &AuditFiles, segment: &Segment) -> io::Result<()> {
    let (category, month) = (segment.header.category, segment.header.month);
    let mut parts = Vec::new();
    for run in segment.runs() {
        parts.push((run.summary, run.postings()?.ok_or_else(damaged_index)?));
    }
    let recent = segment.recent();
    parts.push((recent.summary(), recent.sorted()));
    let Some((summary, postings)) = merge(parts) else { return Ok(()) };
    let file = files.write_file(&files.index(category, month), &IndexFile::encode(&summary, &postings))?;
    segment.set_runs(vec![Arc::new(IndexFile::read(file)?.ok_or_else(damaged_index)?)]);
    for number in files.runs(category, month)? {
        files.remove(&files.run(category, month, number))?;
    }
    Ok(())
}

fn damaged_index() -> io::Error {
    io::Error::other("a part of the index is damaged")
}
