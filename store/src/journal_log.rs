//! The journal as a log for followers: frames in the order in which they were appended.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::log::{EventLog, LogBatch, LogEntry, LogError, LogPosition, NewestRecord};
use domain::port::store::StoreError;

use crate::disk::{DiskFile, read_full_at};
use crate::engine::{Engine, KeyFault};
use crate::journal::{
    FrameHeader, MARK_BYTES, MovedGroup, Position, SEGMENT_HEADER_BYTES, SegmentHeaderFault, SegmentItem,
    claimed_length, parse_item,
};
use crate::load::{newest_record, open_frame};

/// Bytes of one read of a segment, unless a frame is longer.
const CHUNK_BYTES: usize = 128 << 10;

/// Reads the journal from any position on.
pub(crate) struct JournalLog(pub(crate) Arc<Engine>);

impl EventLog for JournalLog {
    fn end(&self) -> LogPosition {
        LogPosition(self.0.durable_end().to_u64())
    }

    fn oldest(&self) -> LogPosition {
        LogPosition(Position::new(self.0.segments.oldest(), SEGMENT_HEADER_BYTES).to_u64())
    }

    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError> {
        let end = self.0.durable_end();
        let at = Position::from_u64(from.0);
        if at > end {
            return Err(LogError::Nowhere);
        }
        let up_to = Position::from_u64(up_to.0).min(end);
        if at >= up_to {
            return Ok(LogBatch { next: from, ..LogBatch::default() });
        }
        let mut reader = BatchReader {
            engine: &self.0,
            from: at,
            at,
            up_to,
            moved: MovedGroup::NONE,
            bytes_left: max_bytes,
            batch: LogBatch::default(),
        };
        while reader.read_segment()? {}
        let batch = LogBatch { next: LogPosition(reader.at.to_u64()), ..reader.batch };
        if batch.sealed > 0 {
            tracing::warn!(
                frames = batch.sealed,
                "frames of the journal cannot be decrypted: followers do not see them"
            );
        }
        Ok(batch)
    }

    fn newest(&self, user: &UserId) -> Result<NewestRecord, StoreError> {
        newest_record(&self.0, &self.0.hasher.hash(user))
    }
}

/// Reads one batch, segment by segment.
struct BatchReader<'a> {
    engine: &'a Engine,
    from: Position,
    at: Position,
    up_to: Position,
    /// The group that start-up moved to the current segment.
    moved: MovedGroup,
    /// How many bytes of frames may still be added.
    bytes_left: usize,
    batch: LogBatch,
}

impl BatchReader<'_> {
    /// Reads the rest of the current segment. Returns `false` if the batch is full or nothing is left to read.
    fn read_segment(&mut self) -> Result<bool, LogError> {
        let number = self.at.segment;
        let segments = &self.engine.segments;
        let Some(segment) = segments.readable(number).map_err(|fault| unreadable(number, fault))? else {
            let oldest = Position::new(segments.oldest(), SEGMENT_HEADER_BYTES);
            let gone = LogError::Gone { oldest: LogPosition(oldest.to_u64()) };
            return Err(if self.at < oldest { gone } else { LogError::Nowhere });
        };
        if self.at.offset < SEGMENT_HEADER_BYTES {
            return Err(LogError::Nowhere);
        }
        self.moved = segment.moved;
        let is_last = number == self.up_to.segment;
        // Bytes behind the end of a segment were never acknowledged there.
        let end = segment.end.unwrap_or(u32::MAX).min(if is_last { self.up_to.offset } else { u32::MAX });
        while self.at.offset < end {
            if !self.read_chunk(&*segment.file, end)? {
                return Ok(false);
            }
        }
        if !is_last {
            self.at = Position::new(number + 1, SEGMENT_HEADER_BYTES);
        }
        Ok(!is_last)
    }

    /// Adds the frames of one read, at least one. Returns `false` if the batch is full.
    fn read_chunk(&mut self, file: &dyn DiskFile, end: u32) -> Result<bool, LogError> {
        let left = (end - self.at.offset) as usize;
        let mut bytes = vec![0; left.min(CHUNK_BYTES)];
        read(file, &mut bytes, self.at.offset)?;
        let claimed = claimed_length(&bytes);
        if claimed > bytes.len() && claimed <= left {
            bytes.resize(claimed, 0);
            read(file, &mut bytes, self.at.offset)?;
        }
        let mut rest = &bytes[..];
        let begin = self.at;
        while !rest.is_empty() {
            let length = match parse_item(rest) {
                SegmentItem::Frame { header, sealed, length } => {
                    if self.batch.entries.len() as u64 + self.batch.sealed > 0 && length > self.bytes_left {
                        return Ok(false);
                    }
                    self.add_frame(&header, sealed, length)?;
                    self.bytes_left = self.bytes_left.saturating_sub(length);
                    length
                }
                SegmentItem::Mark { position, .. } if position == self.at => MARK_BYTES,
                // Cut off by the end of the read: the next read starts with it.
                _ if self.at != begin && (rest.len() < 4 || claimed_length(rest) > rest.len()) => return Ok(true),
                _ if self.at == self.from => return Err(LogError::Nowhere),
                _ => {
                    let what = format!("the journal at {}", self.at);
                    return Err(StoreError::Damaged { what }.into());
                }
            };
            self.at.offset += length as u32;
            rest = &rest[length..];
        }
        Ok(true)
    }

    /// Opens the frame at the current position and adds it to the batch.
    fn add_frame(&mut self, header: &FrameHeader, sealed: &[u8], length: usize) -> Result<(), LogError> {
        let key = if header.is_erasure() {
            Ok(self.engine.erasure_key.key().clone())
        } else {
            self.engine.user_key(header.slot, header.generation)
        };
        let cipher = match key {
            Ok(key) => key.cipher(),
            // Followers learn of it from the erasure itself.
            Err(KeyFault::Erased) => return Ok(()),
            Err(KeyFault::Store(StoreError::Damaged { .. })) => {
                self.batch.sealed += 1;
                return Ok(());
            }
            Err(KeyFault::Store(error)) => return Err(error.into()),
        };
        match open_frame(&cipher, header, sealed) {
            Some(record) => {
                let newest = newest_record(self.engine, &header.user)?;
                let newest = NewestRecord { sequence: newest.sequence.max(header.sequence), ..newest };
                self.batch.entries.push(LogEntry {
                    at: LogPosition(self.at.to_u64()),
                    origin: LogPosition(self.moved.origin_of(self.at).to_u64()),
                    next: LogPosition(Position::new(self.at.segment, self.at.offset + length as u32).to_u64()),
                    newest,
                    record,
                })
            }
            None => self.batch.sealed += 1,
        }
        Ok(())
    }
}

fn read(file: &dyn DiskFile, bytes: &mut [u8], offset: u32) -> Result<(), LogError> {
    match read_full_at(file, bytes, u64::from(offset)) {
        Ok(_) => Ok(()),
        Err(source) => Err(StoreError::Unavailable { doing: "reading the journal", source: source.into() }.into()),
    }
}

fn unreadable(number: u32, fault: SegmentHeaderFault) -> LogError {
    let error = match fault {
        SegmentHeaderFault::Unavailable(source) => {
            StoreError::Unavailable { doing: "reading the journal", source: source.into() }
        }
        SegmentHeaderFault::Damaged | SegmentHeaderFault::Format(_) | SegmentHeaderFault::Reserved => {
            StoreError::Damaged { what: format!("the header of segment {}", number + 1) }
        }
    };
    error.into()
}
