//! Writing and reading the compact binary form that records share: varints, and bytes with their length in front.

use crate::canonical::CanonicalJson;
use crate::event::{RegisterPath, SharedText};
use crate::source::ValueKind;
use crate::table::Leaf;

/// The error for a stored body that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("the record ends in the middle of {doing}")]
    Truncated {
        /// What was being read.
        doing: &'static str,
    },
    /// A number in it has no meaning.
    #[error("the record holds an unknown {what}")]
    Unknown {
        /// What the number should identify.
        what: &'static str,
    },
}

/// No number of 64 bits takes more in LEB128.
const MAX_VARINT_BYTES: usize = 10;

pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Appends a number in LEB128.
    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Appends a signed number in zigzag form.
    pub(super) fn signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.fixed(bytes);
    }

    /// Appends a value or its absence: the length plus one, or zero.
    pub(super) fn value(&mut self, value: Option<&CanonicalJson>) {
        match value {
            None => self.varint(0),
            Some(value) => {
                self.varint(value.as_bytes().len() as u64 + 1);
                self.fixed(value.as_bytes());
            }
        }
    }

    /// Appends a path with its kind: leaves below 64, other paths above, with the kind in the second byte beside the
    /// id.
    pub(super) fn path(&mut self, path: &RegisterPath, kind: ValueKind) {
        let (tag, id) = match path {
            RegisterPath::Leaf(leaf) => (leaf.field().number, None),
            RegisterPath::SourceConfidence => (TAG_SOURCE_CONFIDENCE, None),
            RegisterPath::AggregatedMetrics => (TAG_AGGREGATED_METRICS, None),
            RegisterPath::SchemeStatus(id) => (TAG_SCHEME_STATUS, Some(id)),
            RegisterPath::DeadlineDetails(id) => (TAG_DEADLINE_DETAILS, Some(id)),
            RegisterPath::DeadlineCompletion(id) => (TAG_DEADLINE_COMPLETION, Some(id)),
        };
        self.u8(tag);
        self.u8(kind as u8);
        if let Some(id) = id {
            self.bytes(id.as_str().as_bytes());
        }
    }
}

// Leaf numbers stay below these.
const TAG_SOURCE_CONFIDENCE: u8 = 0xf0;
const TAG_AGGREGATED_METRICS: u8 = 0xf1;
const TAG_SCHEME_STATUS: u8 = 0xf2;
const TAG_DEADLINE_DETAILS: u8 = 0xf3;
const TAG_DEADLINE_COMPLETION: u8 = 0xf4;

/// Reads what [`Writer`] wrote. Values and texts get buffers of their own, so that a small value does not keep a large
/// record in memory.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads with `read`, which takes what it reads off the front of the slice.
    pub(super) fn with<T>(&mut self, read: impl FnOnce(&mut &'a [u8]) -> T) -> T {
        read(&mut self.rest)
    }

    pub(super) fn take(&mut self, length: usize, doing: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated { doing })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated { doing: "a byte" })?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(MAX_VARINT_BYTES).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        match self.rest.len() {
            0..MAX_VARINT_BYTES => Err(DecodeError::Truncated { doing: "a number" }),
            _ => Err(DecodeError::Unknown { what: "number of more than 64 bits" }),
        }
    }

    pub(super) fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Unknown { what: "number of more than 32 bits" })
    }

    /// Reads a count of things that take at least a byte each, so that a damaged count cannot request unbounded memory.
    pub(super) fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.varint()? as usize;
        if count > self.rest.len() { Err(DecodeError::Truncated { doing: "a list" }) } else { Ok(count) }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, "a fixed field")?);
        Ok(array)
    }

    /// Reads bytes that follow their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()? as usize;
        self.take(length, "bytes")
    }

    fn utf8(&mut self, length: usize) -> Result<&'a str, DecodeError> {
        let text = std::str::from_utf8(self.take(length, "text")?);
        text.map_err(|_| DecodeError::Unknown { what: "text encoding" })
    }

    pub(super) fn text(&mut self) -> Result<SharedText, DecodeError> {
        let length = self.varint()? as usize;
        Ok(SharedText::from(self.utf8(length)?))
    }

    pub(super) fn value(&mut self) -> Result<Option<CanonicalJson>, DecodeError> {
        match self.varint()? as usize {
            0 => Ok(None),
            length => Ok(Some(CanonicalJson::from_canonical(self.utf8(length - 1)?))),
        }
    }

    pub(super) fn leaf(&mut self) -> Result<Leaf, DecodeError> {
        Leaf::from_number(self.u8()?).ok_or(DecodeError::Unknown { what: "leaf" })
    }

    pub(super) fn path(&mut self) -> Result<(RegisterPath, ValueKind), DecodeError> {
        let tag = self.u8()?;
        let kind = ValueKind::from_number(self.u8()?).ok_or(DecodeError::Unknown { what: "kind" })?;
        let path = match tag {
            TAG_SOURCE_CONFIDENCE => RegisterPath::SourceConfidence,
            TAG_AGGREGATED_METRICS => RegisterPath::AggregatedMetrics,
            TAG_SCHEME_STATUS => RegisterPath::SchemeStatus(self.text()?),
            TAG_DEADLINE_DETAILS => RegisterPath::DeadlineDetails(self.text()?),
            TAG_DEADLINE_COMPLETION => RegisterPath::DeadlineCompletion(self.text()?),
            number => RegisterPath::Leaf(Leaf::from_number(number).ok_or(DecodeError::Unknown { what: "path" })?),
        };
        Ok((path, kind))
    }
}
