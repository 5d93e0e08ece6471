//! A packed state whose chunks are decoded when they are first read.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::super::codec::{DecodeError, Reader};
use super::registers::Registers;
use super::{document, section};
use crate::documents::{SourceDocument, StoredDocuments};
use crate::packed_chunk::PackedChunk;
use crate::profile::{Section, StoredSections};
use crate::source::Source;
use crate::table::{LeafSet, Member};

/// The chunks of one packed state, and what was decoded of them.
pub(super) struct PackedState {
    /// The whole packed state. It ends in the chunks.
    bytes: Box<[u8]>,
    /// Bytes of all chunks.
    length: usize,
    present: LeafSet,
    documents: [Chunk<Arc<SourceDocument>>; Source::COUNT],
    sections: [Chunk<Section>; Member::COUNT],
}

/// One chunk, which is empty if there is none.
struct Chunk<T> {
    start: u32,
    end: u32,
    decoded: OnceLock<T>,
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self { start: 0, end: 0, decoded: OnceLock::new() }
    }
}

impl<T> Chunk<T> {
    fn bytes<'a>(&self, of: &'a [u8]) -> Option<&'a [u8]> {
        Some(self.packed(of)?.bytes())
    }

    fn packed<'a>(&self, of: &'a [u8]) -> Option<PackedChunk<'a>> {
        PackedChunk::new(of, self.start as usize, self.end as usize)
    }
}

impl PackedState {
    /// Reads the lengths of the chunks, to the end of the input, which is the end of the packed state. The caller must set
    /// its bytes.
    pub(super) fn read(input: &mut Reader<'_>, present: LeafSet) -> Result<Self, DecodeError> {
        let sources = input.varint()?;
        if sources >> Source::COUNT != 0 {
            return Err(DecodeError::Unknown { what: "source" });
        }
        let mut state = Self {
            bytes: Box::default(),
            length: 0,
            present,
            documents: Default::default(),
            sections: Default::default(),
        };
        let mut end = 0_u32;
        let mut place = |input: &mut Reader<'_>| {
            let start = end;
            let length = u32::try_from(input.varint()?).ok().filter(|length| *length > 0);
            end = length.and_then(|length| end.checked_add(length)).ok_or(DecodeError::Unknown { what: "length" })?;
            Ok::<Range<u32>, DecodeError>(start..end)
        };
        for source in Source::ALL.into_iter().filter(|source| sources & 1 << *source as u64 != 0) {
            let Range { start, end } = place(input)?;
            let chunk = &mut state.documents[source as usize];
            (chunk.start, chunk.end) = (start, end);
        }
        for member in present.members() {
            let Range { start, end } = place(input)?;
            let chunk = &mut state.sections[member as usize];
            (chunk.start, chunk.end) = (start, end);
        }
        input.take(end as usize, "a state's chunks")?;
        if !input.is_empty() {
            return Err(DecodeError::Unknown { what: "tail" });
        }
        state.length = end as usize;
        Ok(state)
    }

    /// Sets the packed state whose lengths were read.
    pub(super) fn set_bytes(&mut self, packed: Box<[u8]>) {
        self.bytes = packed;
    }

    /// Returns the bytes that the places of chunks count from.
    fn chunks(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.length..]
    }

    /// Decodes every chunk.
    pub(super) fn decode_all(&self) -> Result<(), DecodeError> {
        for source in Source::ALL {
            let chunk = &self.documents[source as usize];
            if let Some(bytes) = chunk.bytes(self.chunks()) {
                let _ = chunk.decoded.set(Arc::new(document::decode(bytes, source)?));
            }
        }
        for member in Member::ALL {
            let chunk = &self.sections[*member as usize];
            if let Some(bytes) = chunk.bytes(self.chunks()) {
                let _ = chunk.decoded.set(section::decode(bytes, *member, self.present, self)?);
            }
        }
        Ok(())
    }
}

impl StoredDocuments for PackedState {
    fn document(&self, source: Source) -> Option<&Arc<SourceDocument>> {
        let chunk = &self.documents[source as usize];
        let bytes = chunk.bytes(self.chunks())?;
        Some(chunk.decoded.get_or_init(|| Arc::new(own(document::decode(bytes, source)))))
    }

    fn newest(&self, source: Source) -> Option<i64> {
        document::newest(self.documents[source as usize].bytes(self.chunks())?)
    }

    fn packed(&self, source: Source) -> Option<PackedChunk<'_>> {
        self.documents[source as usize].packed(self.chunks())
    }
}

impl StoredSections for PackedState {
    fn section(&self, member: Member) -> Option<&Section> {
        let chunk = &self.sections[member as usize];
        let bytes = chunk.bytes(self.chunks())?;
        Some(chunk.decoded.get_or_init(|| own(section::decode(bytes, member, self.present, self))))
    }

    fn packed(&self, member: Member) -> Option<PackedChunk<'_>> {
        self.sections[member as usize].packed(self.chunks())
    }
}

impl Registers for PackedState {
    fn document(&self, source: Source) -> Option<&SourceDocument> {
        StoredDocuments::document(self, source).map(Arc::as_ref)
    }

    fn newest(&self, source: Source) -> Option<i64> {
        StoredDocuments::newest(self, source)
    }
}

/// Returns a part of a state that this process has packed, or that was decoded before.
///
/// # Panics
/// If the part does not decode. The user's actor ends then, and the next request loads the user from the store.
fn own<T>(decoded: Result<T, DecodeError>) -> T {
    decoded.unwrap_or_else(|error| panic!("a state that was packed here does not unpack: {error}"))
}
