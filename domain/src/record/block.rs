//! A history block: a run of a user's records as they were in the journal, oldest first.
//!
//! ```text
//! length  field
//!      1  format, 2
//!         generation
//!         -- for each record
//!         sequence
//!      1  kind
//!         body (length, bytes)
//! ```

use super::FORMAT;
use super::cause::Cause;
use super::change::decode;
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
}

impl<'a> From<&'a Record> for BlockRecord<'a> {
    fn from(record: &'a Record) -> Self {
        let Record { generation, sequence, kind, .. } = *record;
        Self { generation, sequence, kind, body: &record.body }
    }
}

impl BlockRecord<'_> {
    /// Returns the origin of the revision that the record made; `None` if it made none.
    ///
    /// # Errors
    /// The record is not a change of this format.
    pub fn origin(self) -> Result<Option<RevisionOrigin>, DecodeError> {
        let change = decode(self)?;
        let cause = change.cause();
        Ok(change.revised.map(|revised| {
            let envelope = revised.envelope;
            RevisionOrigin { revision: envelope.revision, generated_at: envelope.generated_at, cause }
        }))
    }
}

/// Appends a record to a block, which may be empty so far.
pub(super) fn append(block: Vec<u8>, record: BlockRecord<'_>) -> Vec<u8> {
    let mut out = Writer(block);
    if out.0.is_empty() {
        out.u8(FORMAT);
        out.varint(u64::from(record.generation));
    }
    out.varint(record.sequence);
    out.u8(record.kind.0);
    out.bytes(record.body);
    out.0
}

/// Returns the records of a block, oldest first.
///
/// # Errors
/// The block is not in this format.
pub fn records(block: &[u8]) -> Result<Vec<BlockRecord<'_>>, DecodeError> {
    let mut input = Reader::new(block);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "history format" });
    }
    let generation = input.u32()?;
    let mut records = Vec::new();
    while !input.is_empty() {
        let (sequence, kind) = (input.varint()?, RecordKind(input.u8()?));
        records.push(BlockRecord { generation, sequence, kind, body: input.bytes()? });
    }
    Ok(records)
}
