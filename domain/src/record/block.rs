//! A history block: a run of a user's records as they were in the journal, oldest first.
//!
//! ```text
//! length  field
//!      1  format, 2
//!         generation, bytes of the blocks before since the last base
//!         -- for each record
//!         sequence
//!      1  kind
//!         body (length, bytes)
//! ```

use super::FORMAT;
use super::cause::Cause;
use super::codec::{DecodeError, Reader, Writer};
use crate::port::journal::{Record, RecordKind};

/// A record without its user, as history keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRecord<'a> {
    /// The erasure generation that the record belongs to.
    pub generation: u32,
    /// The user's own count of frames.
    pub sequence: u64,
    /// The kind of the body's content.
    pub kind: RecordKind,
    /// The content.
    pub body: &'a [u8],
}

/// How a revision came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionOrigin {
    /// The revision.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// Why it was made.
    pub cause: Cause,
    /// The revisions before it that can no longer be reached; `None` if the revision before it can.
    pub dropped: Option<DroppedRevisions>,
}

/// Revisions that were dropped when history was thinned. They are those after `base` and before the revision that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedRevisions {
    /// The revision before them; 0 if they are the first ones of the generation.
    pub base: u64,
    /// When the first of them was generated, in microseconds since the Unix epoch. From then on until the revision that
    /// follows them was generated, nothing can be said about the profile.
    pub from: i64,
}

impl<'a> From<&'a Record> for BlockRecord<'a> {
    fn from(record: &'a Record) -> Self {
        let Record { generation, sequence, kind, .. } = *record;
        Self { generation, sequence, kind, body: &record.body }
    }
}

/// A block that records are appended to.
pub(super) struct GrowingBlock {
    body: Writer,
    /// Bytes of the blocks before it since the last base.
    before: u64,
}

impl GrowingBlock {
    /// Begins a block.
    pub(super) fn new(generation: u32, before: u64) -> Self {
        let mut body = Writer(Vec::with_capacity(512));
        body.u8(FORMAT);
        body.varint(u64::from(generation));
        body.varint(before);
        Self { body, before }
    }

    /// Returns the number of bytes of the blocks before since the last base, as the block says.
    ///
    /// # Errors
    /// The block is not in this format.
    pub(super) fn bytes_before(body: &[u8]) -> Result<u64, DecodeError> {
        Ok(read_head(&mut Reader::new(body))?.1)
    }

    /// Continues a block.
    ///
    /// # Errors
    /// The block is not in this format.
    pub(super) fn open(body: Vec<u8>) -> Result<Self, DecodeError> {
        let (_, before) = read_head(&mut Reader::new(&body))?;
        Ok(Self { body: Writer(body), before })
    }

    /// Appends a record.
    pub(super) fn append(&mut self, record: BlockRecord<'_>) {
        self.body.varint(record.sequence);
        self.body.u8(record.kind.0);
        self.body.bytes(record.body);
    }

    /// Returns the number of bytes of the block.
    pub(super) fn len(&self) -> usize {
        self.body.0.len()
    }

    /// Returns the number of bytes of the blocks since the last base, with this one.
    pub(super) fn since_base(&self) -> u64 {
        self.before.saturating_add(self.len() as u64)
    }

    /// Returns the body of the block.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body.0
    }
}

/// Reads the generation, and the number of bytes of the blocks before since the last base.
fn read_head(input: &mut Reader<'_>) -> Result<(u32, u64), DecodeError> {
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "history format" });
    }
    Ok((input.u32()?, input.varint()?))
}

/// Returns the records of a block, oldest first.
///
/// # Errors
/// The block is not in this format.
pub fn records(block: &[u8]) -> Result<Vec<BlockRecord<'_>>, DecodeError> {
    let mut input = Reader::new(block);
    let (generation, _) = read_head(&mut input)?;
    let mut records = Vec::new();
    while !input.is_empty() {
        let (sequence, kind) = (input.varint()?, RecordKind(input.u8()?));
        records.push(BlockRecord { generation, sequence, kind, body: input.bytes()? });
    }
    Ok(records)
}
