//! Walks over the lines of a category that fit, from the newest to the oldest.

use std::io;
use std::sync::Arc;

use domain::port::audit::{AuditCategory, AuditReceipt};
use domain::port::audit_trail::AuditRecord;
use memchr::memrchr;

use super::filter::Filter;
use crate::audit::parsed_line::ParsedLine;
use crate::audit::segment::Segment;
use crate::disk::read_full_at;

/// Bytes of a read backwards.
const CHUNK_BYTES: u64 = 256 << 10;

/// A walk over one category.
pub(super) struct Walk<'a> {
    filter: &'a Filter,
    /// The segments that are left, the oldest first.
    segments: Vec<Arc<Segment>>,
    current: Option<Source>,
    /// Only entries with smaller numbers are returned.
    before: u64,
    /// Bytes of lines that may still be read.
    budget: u64,
}

/// Where the lines of the current segment come from.
enum Source {
    /// Offsets of the lines about the subject, the oldest first.
    Offsets(Arc<Segment>, Vec<u64>),
    /// All lines before an offset.
    Lines(Arc<Segment>, BackwardLines),
}

/// What a walk gives next.
pub(super) enum Step {
    /// An entry that fits.
    Record(AuditRecord),
    /// Too much was read without an entry that fits: to be continued below the number.
    OutOfBudget,
    /// There are no more entries.
    End,
}

impl<'a> Walk<'a> {
    pub(super) fn new(filter: &'a Filter, segments: Vec<Arc<Segment>>, before: u64, budget: u64) -> Self {
        Self { filter, segments, current: None, before, budget }
    }

    /// Returns the number below which a walk would go on.
    pub(super) fn position(&self) -> u64 {
        self.before
    }

    /// Returns the next entry.
    pub(super) fn next(&mut self) -> io::Result<Step> {
        loop {
            if self.budget == 0 {
                return Ok(Step::OutOfBudget);
            }
            let Some(line) = self.next_line()? else { return Ok(Step::End) };
            self.budget = self.budget.saturating_sub(line.len() as u64 + 1);
            let Some(parsed) = ParsedLine::parse(&line) else {
                return Err(io::Error::other("a line of the audit log is damaged: run `verify-audit`"));
            };
            if parsed.seq >= self.before {
                continue;
            }
            self.before = parsed.seq;
            if self.filter.fits(&parsed) {
                let leaf = (parsed.category == AuditCategory::Compliance).then(|| parsed.seq - 1);
                let receipt = AuditReceipt { category: parsed.category, seq: parsed.seq, time: parsed.time, leaf };
                return Ok(Step::Record(AuditRecord { receipt, line }));
            }
        }
    }

    /// Returns the next line that may fit.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            match &mut self.current {
                Some(Source::Offsets(segment, offsets)) => match offsets.pop() {
                    Some(offset) => return segment.line(offset).map(Some),
                    None => self.current = None,
                },
                Some(Source::Lines(segment, lines)) => match lines.next(segment, self.budget)? {
                    Some(line) if self.filter.may_fit(&line) => {
                        return String::from_utf8(line).map(Some).map_err(io::Error::other);
                    }
                    Some(line) => {
                        self.budget = self.budget.saturating_sub(line.len() as u64 + 1);
                        if self.budget == 0 {
                            // The line says where to go on.
                            return String::from_utf8(line).map(Some).map_err(io::Error::other);
                        }
                    }
                    None => self.current = None,
                },
                None => {
                    let Some(segment) = self.segments.pop() else { return Ok(None) };
                    if segment.header.first_seq < self.before && self.filter.may_fit_times(segment.times()) {
                        self.current = Some(self.source(segment)?);
                    }
                }
            }
        }
    }

    fn source(&self, segment: Arc<Segment>) -> io::Result<Source> {
        let end = offset_of(&segment, self.before)?;
        let Some(subject) = self.filter.subject else {
            return Ok(Source::Lines(segment, BackwardLines::new(end)));
        };
        let mut offsets = segment.find(subject.prefix())?;
        offsets.retain(|offset| *offset < end);
        Ok(Source::Offsets(segment, offsets))
    }
}

/// Returns the offset of the first line with this number or a greater one, or the end of the durable lines.
fn offset_of(segment: &Segment, seq: u64) -> io::Result<u64> {
    let (mut low, mut high) = (segment.start, segment.end());
    if seq > segment.last_seq() {
        return Ok(high);
    }
    // `low` is the start of a line with a smaller number, or of the first line; `high` that of one with this or a greater
    // number, or the end.
    while low < high {
        let middle = low + (high - low) / 2;
        let start = line_start(segment, middle)?;
        let line = segment.line(start)?;
        let parsed = ParsedLine::parse(&line).ok_or_else(|| io::Error::other("a line of the audit log is damaged"))?;
        if parsed.seq >= seq { high = start } else { low = start + line.len() as u64 + 1 }
    }
    Ok(high)
}

/// Returns the offset of the line that an offset is in.
fn line_start(segment: &Segment, offset: u64) -> io::Result<u64> {
    let mut end = offset;
    loop {
        let start = end.saturating_sub(1_024).max(segment.start);
        let mut bytes = vec![0; (end - start) as usize];
        read_full_at(&*segment.file, &mut bytes, start)?;
        if let Some(at) = memrchr(b'\n', &bytes) {
            return Ok(start + at as u64 + 1);
        }
        if start == segment.start {
            return Ok(start);
        }
        end = start;
    }
}

/// Lines before an offset, the last one first.
struct BackwardLines {
    /// Bytes before `end` that were read and not handed out, which start at `start`.
    buffer: Vec<u8>,
    start: u64,
}

impl BackwardLines {
    fn new(end: u64) -> Self {
        Self { buffer: Vec::new(), start: end }
    }

    /// Returns the line before, without its line break.
    fn next(&mut self, segment: &Segment, budget: u64) -> io::Result<Option<Vec<u8>>> {
        loop {
            // The buffer ends with the line break of its last line.
            if let Some((_, before)) = self.buffer.split_last() {
                let begin = memrchr(b'\n', before).map(|at| at + 1);
                let begin = begin.or((self.start == segment.start).then_some(0));
                if let Some(begin) = begin {
                    let mut line = self.buffer.split_off(begin);
                    line.pop();
                    return Ok(Some(line));
                }
            } else if self.start <= segment.start {
                return Ok(None);
            }
            let count = CHUNK_BYTES.min(budget.max(4_096)).min(self.start - segment.start);
            let mut chunk = vec![0; count as usize];
            read_full_at(&*segment.file, &mut chunk, self.start - count)?;
            chunk.append(&mut self.buffer);
            (self.buffer, self.start) = (chunk, self.start - count);
        }
    }
}
