//! Appending to the journal: each group of records is one write and one sync.

mod group;
mod last_page;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use domain::port::journal::{AppendResult, Journal, JournalError, Record};

use crate::disk::{WriteFailed, is_exhausted, is_full, write_all_at};
use crate::engine::Engine;
use crate::journal::{MARK_BYTES, OpenSegment, Position, SEGMENT_HEADER_BYTES, encode_mark};
use crate::status::AppendFault;
use group::Group;
use last_page::LastPage;

/// Maximum number of bytes of a group: offsets in a segment have 32 bits.
const MAX_GROUP_BYTES: usize = (u32::MAX - SEGMENT_HEADER_BYTES) as usize;

/// The writing end of the journal, for the commit thread.
pub(crate) struct Appender {
    engine: Arc<Engine>,
    segment_bytes: u64,
    open_segment: OpenSegment,
    last_page: LastPage,
    /// Creating the next segment failed after its name may have appeared. Its header contains the end of this segment, so
    /// nothing more may be written to this one.
    must_roll: bool,
    /// The state of the disk is unknown, so nothing is taken until a restart.
    refusing: bool,
}

impl Appender {
    /// Appends to `open_segment`. New segments have `segment_bytes` bytes.
    pub(crate) fn new(engine: Arc<Engine>, segment_bytes: u64, open_segment: OpenSegment) -> Self {
        let last_page = LastPage::read(open_segment.file.clone(), open_segment.end);
        Self { engine, segment_bytes, open_segment, last_page, must_roll: false, refusing: false }
    }

    /// Makes `group` durable and returns its position.
    fn write(&mut self, group: &mut Group) -> Result<Position, JournalError> {
        let needed = group.bytes() + MARK_BYTES;
        if needed > MAX_GROUP_BYTES {
            return Err(JournalError::NotTaken(io::ErrorKind::FileTooLarge.into()));
        }
        if self.must_roll || u64::from(self.open_segment.end.offset) + needed as u64 > self.open_segment.capacity {
            self.roll(needed).map_err(JournalError::NotTaken)?;
        }
        let at = self.open_segment.end;
        let epoch = self.engine.segments.epoch();
        let bytes = group.bytes_at(epoch, at);
        match write_all_at(&*self.open_segment.file, bytes, u64::from(at.offset)) {
            Ok(()) => match self.open_segment.file.sync_data() {
                Ok(()) => {
                    self.open_segment.end.offset += bytes.len() as u32;
                    self.last_page.extend(bytes);
                    self.mark_end();
                    Ok(at)
                }
                Err(error) => self.after_failed_sync(group, error),
            },
            Err(WriteFailed { partial: false, source }) if is_full(&source) => Err(JournalError::NotTaken(source)),
            Err(WriteFailed { partial: true, source }) if is_full(&source) => self.after_partial_write(group, source),
            Err(WriteFailed { source, .. }) => self.write_elsewhere(group).map_err(|error| self.refuse(&source, error)),
        }
    }

    /// Writes the group to a new segment after its sync failed. The page that it shares with acknowledged frames may not be
    /// on the disk either, so that page is written again.
    fn after_failed_sync(&mut self, group: &mut Group, failure: io::Error) -> Result<Position, JournalError> {
        let acknowledged = self.open_segment.end;
        tracing::warn!("the journal failed at {acknowledged} ({failure}): writing the group to a new segment");
        let page = std::mem::replace(&mut self.last_page, LastPage::read(self.open_segment.file.clone(), acknowledged));
        // The new segment comes first, because it shows that the disk takes writes. On a disk that does not, writing
        // acknowledged bytes again could destroy them.
        let at = self.write_elsewhere(group).map_err(|error| self.refuse(&failure, error))?;
        if let Err(error) = page.write_again() {
            self.refusing = true;
            self.engine.status.refuse(format!(
                "the journal failed at {acknowledged} ({failure}), and what was acknowledged right before it could not be \
                 written again ({error}): check the disk, then restart after the next checkpoint"
            ));
        }
        Ok(at)
    }

    /// Writes the group to a new segment after a full disk took only a part of it. If no segment can be created, cuts the
    /// part off, so that no start-up recovers it.
    fn after_partial_write(&mut self, group: &mut Group, failure: io::Error) -> Result<Position, JournalError> {
        let end = self.open_segment.end;
        let Err(error) = self.write_elsewhere(group) else {
            return Ok(Position::new(end.segment + 1, SEGMENT_HEADER_BYTES));
        };
        // The name of the new segment may have appeared, with the group in it.
        let gone = self.engine.segments.take_back(end.segment + 1);
        // The mark at the end stays: it is also the start of the group.
        let cut = gone.and_then(|()| self.open_segment.file.truncate(u64::from(end.offset) + MARK_BYTES as u64));
        match cut.and_then(|()| self.open_segment.file.sync_data()) {
            Ok(()) => {
                self.must_roll = true;
                Err(JournalError::NotTaken(failure))
            }
            Err(_) => Err(self.refuse(&failure, error)),
        }
    }

    /// Writes the group to a new segment, because the current file cannot be trusted behind its end. The header of the new
    /// one records where that end is.
    fn write_elsewhere(&mut self, group: &mut Group) -> io::Result<Position> {
        let at = Position::new(self.open_segment.end.segment + 1, SEGMENT_HEADER_BYTES);
        let bytes = group.bytes_at(self.engine.segments.epoch(), at);
        let needed = bytes.len() + MARK_BYTES;
        let mut begun = self.begin_segment(needed, bytes);
        if begun.as_ref().is_err_and(is_full) && self.engine.free_follower_segments() {
            begun = self.begin_segment(needed, bytes);
        }
        begun?;
        self.mark_end();
        Ok(at)
    }

    /// Continues in a new, empty segment.
    fn roll(&mut self, needed: usize) -> io::Result<()> {
        self.must_roll = true;
        self.begin_segment(needed, &[])
    }

    /// Continues in a new segment that starts with `first` and has room for `needed` bytes.
    fn begin_segment(&mut self, needed: usize, first: &[u8]) -> io::Result<()> {
        let (number, size) = (self.open_segment.end.segment + 1, self.segment_size(needed));
        let made = self.engine.segments.create(number, self.open_segment.end.offset, size, first);
        // The upkeep thread prepares the next one, or retries what failed here.
        self.engine.upkeep_signal.set();
        let end = Position::new(number, SEGMENT_HEADER_BYTES + first.len() as u32);
        self.open_segment = OpenSegment { file: made?, end, capacity: size };
        self.last_page = LastPage::read(self.open_segment.file.clone(), end);
        self.must_roll = false;
        Ok(())
    }

    /// Refuses all writes until a restart, because the content of the disk is unknown.
    fn refuse(&mut self, failure: &io::Error, error: io::Error) -> JournalError {
        self.refusing = true;
        self.engine.status.refuse(format!(
            "the journal failed ({failure}), and so did a new segment ({error}): check the disk, then restart"
        ));
        JournalError::UnknownFate(error)
    }

    /// Returns the size of a segment that holds `needed` bytes. A group is never split, so a huge group gets a larger
    /// segment.
    fn segment_size(&self, needed: usize) -> u64 {
        self.segment_bytes.max(u64::from(SEGMENT_HEADER_BYTES) + needed as u64)
    }

    /// Writes the mark that says that the group was synced. The mark itself is not synced: the next group starts with the
    /// same bytes. If it is lost, start-up only has to treat the last group as one that may be torn.
    fn mark_end(&self) {
        let mark = encode_mark(self.engine.segments.epoch(), self.open_segment.end);
        let _ = write_all_at(&*self.open_segment.file, &mark, u64::from(self.open_segment.end.offset));
    }
}

impl Journal for Appender {
    fn append(&mut self, records: &[Record]) -> Result<Vec<AppendResult>, JournalError> {
        if self.refusing {
            return Err(JournalError::UnknownFate(io::Error::other("the journal refuses writes until restart")));
        }
        let start = Instant::now();
        let engine = self.engine.clone();
        // A backup has every group as a whole or not at all.
        let _gate = engine.append_gate.lock();
        // Nothing is written yet, so a panic affects only this group.
        let sealed = catch_unwind(AssertUnwindSafe(|| Group::seal(&engine, records)));
        let sealed = sealed.unwrap_or_else(|_| Err(io::Error::other("sealing the group panicked")));
        let taken = sealed.map_err(JournalError::NotTaken).and_then(|mut group| {
            if group.len() == 0 {
                return Ok(group);
            }
            let mut written = self.write(&mut group);
            if matches!(&written, Err(JournalError::NotTaken(error)) if is_full(error))
                && engine.free_follower_segments()
            {
                written = self.write(&mut group);
            }
            match written {
                Ok(at) => {
                    for (user, newest) in group.newest_frames(at) {
                        engine.index.set(user, newest);
                    }
                    engine.set_durable_end(self.open_segment.end);
                    engine.checkpoint_trigger.add_appended(group.bytes() as u64);
                    engine.appended_records.fetch_add(group.len() as u64, Ordering::Relaxed);
                    engine.metrics.group_size.record(group.len() as f64);
                    engine.metrics.commit_duration.record(start.elapsed());
                    Ok(group)
                }
                Err(error) => {
                    if matches!(error, JournalError::NotTaken(_)) {
                        group.give_back(&engine);
                    }
                    Err(error)
                }
            }
        });
        let fault = match &taken {
            Ok(group) => group.no_slots.as_ref().map(|error| append_fault("no slots for new users", error)),
            Err(error) => Some(append_fault(error, cause(error))),
        };
        if fault.is_some() {
            engine.upkeep_signal.set();
        }
        engine.status.set_append(fault);
        Ok(taken?.results)
    }
}

/// Returns the fault to show in the status. A lack of disk space or descriptors is retried by the upkeep thread, so it
/// lasts until a retry succeeds.
fn append_fault(what: impl std::fmt::Display, cause: &io::Error) -> AppendFault {
    AppendFault { reason: format!("{what}: {cause}"), lasts: is_exhausted(cause) }
}

fn cause(error: &JournalError) -> &io::Error {
    match error {
        JournalError::NotTaken(source) | JournalError::UnknownFate(source) => source,
    }
}
