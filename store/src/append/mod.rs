//! The one thread that appends: a group is one write and one sync.

mod group;
mod last_page;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use domain::port::journal::{Journal, JournalError, OutOfSequence, Record};

use crate::disk::{WriteFailed, is_exhausted, is_full, write_all_at};
use crate::engine::Engine;
use crate::journal::{MARK_BYTES, OpenSegment, Position, SEGMENT_HEADER_BYTES, encode_mark};
use crate::status::AppendFault;
use group::Group;
use last_page::LastPage;

/// Offsets in a segment have 32 bits.
const MAX_GROUP_BYTES: usize = (u32::MAX - SEGMENT_HEADER_BYTES) as usize;

/// The journal's writing end.
pub(crate) struct Appender {
    engine: Arc<Engine>,
    segment_bytes: u64,
    tip: OpenSegment,
    last_page: LastPage,
    /// A new segment was begun and may have a name already: it says where this one ends, so nothing more may go here.
    must_roll: bool,
    refusing: bool,
}

impl Appender {
    pub(crate) fn new(engine: Arc<Engine>, segment_bytes: u64, tip: OpenSegment) -> Self {
        let last_page = LastPage::read(tip.file.clone(), tip.end);
        Self { engine, segment_bytes, tip, last_page, must_roll: false, refusing: false }
    }

    /// Makes `group` durable and says where it lies.
    fn write(&mut self, group: &mut Group) -> Result<Position, JournalError> {
        let needed = group.bytes() + MARK_BYTES;
        if needed > MAX_GROUP_BYTES {
            return Err(JournalError::NotTaken(io::ErrorKind::FileTooLarge.into()));
        }
        if self.must_roll || u64::from(self.tip.end.offset) + needed as u64 > self.tip.capacity {
            self.roll(needed).map_err(JournalError::NotTaken)?;
        }
        let at = self.tip.end;
        let epoch = self.engine.segments.epoch();
        let bytes = group.place(epoch, at);
        match write_all_at(&*self.tip.file, bytes, u64::from(at.offset)) {
            Ok(()) => match self.tip.file.sync_data() {
                Ok(()) => {
                    self.tip.end.offset += bytes.len() as u32;
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

    /// The page that the group shares with acknowledged frames is of unknown content on the disk, too.
    fn after_failed_sync(&mut self, group: &mut Group, failure: io::Error) -> Result<Position, JournalError> {
        let acknowledged = self.tip.end;
        tracing::warn!("the journal failed at {acknowledged} ({failure}): writing the group to a new segment");
        let page = std::mem::replace(&mut self.last_page, LastPage::read(self.tip.file.clone(), acknowledged));
        // First: it shows that the disk takes writes. On one that does not, writing acknowledged bytes again could cost them.
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

    /// The disk is full and has a part of the group. It goes to a new segment; if there is none, the part is cut off,
    /// so that no start takes it up.
    fn after_partial_write(&mut self, group: &mut Group, failure: io::Error) -> Result<Position, JournalError> {
        let end = self.tip.end;
        let Err(error) = self.write_elsewhere(group) else {
            return Ok(Position::new(end.segment + 1, SEGMENT_HEADER_BYTES));
        };
        // The new one may have its name already, with the group in it.
        let gone = self.engine.segments.take_back(end.segment + 1);
        // The mark there is the group's first bytes.
        let cut = gone.and_then(|()| self.tip.file.truncate(u64::from(end.offset) + MARK_BYTES as u64));
        match cut.and_then(|()| self.tip.file.sync_data()) {
            Ok(()) => {
                self.must_roll = true;
                Err(JournalError::NotTaken(failure))
            }
            Err(_) => Err(self.refuse(&failure, error)),
        }
    }

    /// The file is not to be trusted behind `tip.end`: a new one records that it ended there and takes the group.
    fn write_elsewhere(&mut self, group: &mut Group) -> io::Result<Position> {
        let at = Position::new(self.tip.end.segment + 1, SEGMENT_HEADER_BYTES);
        let bytes = group.place(self.engine.segments.epoch(), at);
        let needed = bytes.len() + MARK_BYTES;
        let mut begun = self.begin_segment(needed, bytes);
        if begun.as_ref().is_err_and(is_full) && self.engine.free_follower_segments() {
            begun = self.begin_segment(needed, bytes);
        }
        begun?;
        self.mark_end();
        Ok(at)
    }

    fn roll(&mut self, needed: usize) -> io::Result<()> {
        self.must_roll = true;
        self.begin_segment(needed, &[])
    }

    /// Goes on in a new segment that has `first` in it and room for `needed` bytes.
    fn begin_segment(&mut self, needed: usize, first: &[u8]) -> io::Result<()> {
        let (number, size) = (self.tip.end.segment + 1, self.segment_size(needed));
        let made = self.engine.segments.create(number, self.tip.end.offset, size, first);
        // The next one is made ahead again, or what is missing is looked for.
        self.engine.upkeep_signal.set();
        let end = Position::new(number, SEGMENT_HEADER_BYTES + first.len() as u32);
        self.tip = OpenSegment { file: made?, end, capacity: size };
        self.last_page = LastPage::read(self.tip.file.clone(), end);
        self.must_roll = false;
        Ok(())
    }

    /// Nothing more is taken: nobody knows what the disk holds.
    fn refuse(&mut self, failure: &io::Error, error: io::Error) -> JournalError {
        self.refusing = true;
        self.engine.status.refuse(format!(
            "the journal failed ({failure}), and so did a new segment ({error}): check the disk, then restart"
        ));
        JournalError::UnknownFate(error)
    }

    /// A group is never split, so a huge one gets a larger segment.
    fn segment_size(&self, needed: usize) -> u64 {
        self.segment_bytes.max(u64::from(SEGMENT_HEADER_BYTES) + needed as u64)
    }

    /// Says behind the group that it was synced, without a sync: the next group starts with the same bytes. If they
    /// are lost, start-up only takes the last group for one that may be torn.
    fn mark_end(&self) {
        let mark = encode_mark(self.engine.segments.epoch(), self.tip.end);
        let _ = write_all_at(&*self.tip.file, &mark, u64::from(self.tip.end.offset));
    }
}

impl Journal for Appender {
    fn append(&mut self, records: &[Record]) -> Result<Vec<Result<(), OutOfSequence>>, JournalError> {
        if self.refusing {
            return Err(JournalError::UnknownFate(io::Error::other("the journal refuses writes until restart")));
        }
        let start = Instant::now();
        let engine = self.engine.clone();
        // Nothing is written yet, so a panic harms this group alone.
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
                    for (user, entry) in group.entries(at) {
                        engine.index.set(user, entry);
                    }
                    engine.set_durable_end(self.tip.end);
                    engine.checkpoint_trigger.appended(group.bytes() as u64);
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
        engine.status.append(fault);
        Ok(taken?.results)
    }
}

/// What the disk has run out of is looked for again and again, so it lasts until it was found.
fn append_fault(what: impl std::fmt::Display, cause: &io::Error) -> AppendFault {
    AppendFault { reason: format!("{what}: {cause}"), lasts: is_exhausted(cause) }
}

fn cause(error: &JournalError) -> &io::Error {
    match error {
        JournalError::NotTaken(source) | JournalError::UnknownFate(source) => source,
    }
}
