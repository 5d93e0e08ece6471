//! The one thread that appends: a group is one write and one sync.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use domain::port::journal::{Journal, JournalError, Record, Refused};

use super::frame::{self, MARK_BYTES};
use super::group::Group;
use super::position::Position;
use super::segment::HEADER_BYTES;
use crate::disk::{DiskFile, WriteFailed, is_full, write_all_at};
use crate::shared::Shared;

/// Offsets in a segment have 32 bits.
const MAX_GROUP_BYTES: usize = (u32::MAX - HEADER_BYTES) as usize;

/// Where the next group goes.
pub(crate) struct Tip {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) end: Position,
    pub(crate) capacity: u64,
}

/// The journal's writing end.
pub(crate) struct Appender {
    shared: Arc<Shared>,
    segment_bytes: u64,
    tip: Tip,
    /// A new segment was begun and may have a name already: it says where this one ends, so nothing more may go here.
    must_roll: bool,
    refusing: bool,
}

impl Appender {
    pub(crate) fn new(shared: Arc<Shared>, segment_bytes: u64, tip: Tip) -> Self {
        Self { shared, segment_bytes, tip, must_roll: false, refusing: false }
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
        let epoch = self.shared.segments.epoch();
        let bytes = group.place(epoch, at);
        let written = write_all_at(&*self.tip.file, bytes, u64::from(at.offset));
        let failure = match written {
            Ok(()) => match self.tip.file.sync_data() {
                Ok(()) => {
                    self.tip.end.offset += bytes.len() as u32;
                    self.mark_end();
                    return Ok(at);
                }
                Err(error) => error,
            },
            Err(WriteFailed { partial: false, source }) if is_full(&source) => {
                return Err(JournalError::NotTaken(source));
            }
            Err(WriteFailed { source, .. }) => source,
        };
        self.write_elsewhere(group, failure)
    }

    /// The file is not to be trusted behind `tip.end`: a new one records that it ended there and takes the group.
    fn write_elsewhere(&mut self, group: &mut Group, failure: io::Error) -> Result<Position, JournalError> {
        let (old, at) = (self.tip.end, Position::new(self.tip.end.segment + 1, HEADER_BYTES));
        tracing::warn!("the journal failed at {old} ({failure}): writing the group to a new segment");
        let size = self.segment_size(group.bytes() + MARK_BYTES);
        let bytes = group.place(self.shared.segments.epoch(), at);
        match self.shared.segments.create(at.segment, old.offset, size, bytes) {
            Ok(file) => {
                let end = Position::new(at.segment, at.offset + bytes.len() as u32);
                self.tip = Tip { file, end, capacity: size };
                self.must_roll = false;
                self.mark_end();
                Ok(at)
            }
            Err(error) => {
                self.refusing = true;
                self.shared.status.refuse(format!(
                    "the journal failed ({failure}), and so did a new segment ({error}): check the disk, then restart"
                ));
                Err(JournalError::UnknownFate(error))
            }
        }
    }

    fn roll(&mut self, needed: usize) -> io::Result<()> {
        self.must_roll = true;
        let (number, size) = (self.tip.end.segment + 1, self.segment_size(needed));
        let file = self.shared.segments.create(number, self.tip.end.offset, size, &[])?;
        self.tip = Tip { file, end: Position::new(number, HEADER_BYTES), capacity: size };
        self.must_roll = false;
        Ok(())
    }

    /// A group is never split, so a huge one gets a larger segment.
    fn segment_size(&self, needed: usize) -> u64 {
        self.segment_bytes.max(u64::from(HEADER_BYTES) + needed as u64)
    }

    /// Says behind the group that it was synced, without a sync: the next group starts with the same bytes. If they
    /// are lost, start-up only takes the last group for one that may be torn.
    fn mark_end(&self) {
        let mark = frame::mark(self.shared.segments.epoch(), self.tip.end);
        let _ = write_all_at(&*self.tip.file, &mark, u64::from(self.tip.end.offset));
    }
}

impl Journal for Appender {
    fn append(&mut self, records: &[Record]) -> Result<Vec<Result<(), Refused>>, JournalError> {
        if self.refusing {
            return Err(JournalError::UnknownFate(io::Error::other("the journal refuses writes until restart")));
        }
        let start = Instant::now();
        let shared = self.shared.clone();
        // Nothing is written yet, so a panic harms this group alone.
        let sealed = catch_unwind(AssertUnwindSafe(|| Group::seal(&shared, records)));
        let sealed = sealed.unwrap_or_else(|_| Err(io::Error::other("sealing the group panicked")));
        let taken = sealed.map_err(JournalError::NotTaken).and_then(|mut group| {
            if group.len() == 0 {
                return Ok(group);
            }
            let mut written = self.write(&mut group);
            if matches!(&written, Err(JournalError::NotTaken(error)) if is_full(error)) && shared.make_room() {
                written = self.write(&mut group);
            }
            match written {
                Ok(at) => {
                    for (user, entry) in group.entries(at) {
                        shared.index.set(user, entry);
                    }
                    shared.set_durable_end(self.tip.end);
                    shared.bell.appended(group.bytes() as u64);
                    shared.metrics.group_size.record(group.len() as f64);
                    shared.metrics.commit_duration.record(start.elapsed());
                    Ok(group)
                }
                Err(error) => {
                    if matches!(error, JournalError::NotTaken(_)) {
                        group.give_back(&shared);
                    }
                    Err(error)
                }
            }
        });
        let fault = taken.as_ref().err().map(|error| format!("{error}: {}", cause(error)));
        shared.status.append(fault);
        Ok(taken?.verdicts)
    }
}

fn cause(error: &JournalError) -> &io::Error {
    match error {
        JournalError::NotTaken(source) | JournalError::UnknownFate(source) => source,
    }
}
