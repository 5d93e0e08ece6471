//! The chunks of a state that is being packed.

use std::ops::Range;

use smallvec::SmallVec;

use crate::packed_chunk::PackedChunk;
use crate::source::Source;
use crate::table::Member;

/// Number of chunks that a state can have.
const MAX_CHUNKS: usize = Source::COUNT + Member::COUNT;

/// Chunks in their order. Those that did not change are copied from a packed state, neighbours in one piece.
pub(super) struct Chunks<'a> {
    /// The bytes of each chunk; the first `count` are used.
    lengths: [usize; MAX_CHUNKS],
    count: usize,
    pieces: SmallVec<[Piece<'a>; 8]>,
    encoded: Vec<u8>,
}

enum Piece<'a> {
    Packed(PackedChunk<'a>),
    /// A part of the encoded bytes.
    Encoded(Range<usize>),
}

impl<'a> Chunks<'a> {
    pub(super) fn new() -> Self {
        Self { lengths: [0; MAX_CHUNKS], count: 0, pieces: SmallVec::new(), encoded: Vec::with_capacity(512) }
    }

    /// Adds a chunk that did not change.
    pub(super) fn copy(&mut self, chunk: PackedChunk<'a>) {
        self.add_length(chunk.len());
        if let Some(Piece::Packed(last)) = self.pieces.last_mut()
            && let Some(joined) = last.join(chunk)
        {
            *last = joined;
        } else {
            self.pieces.push(Piece::Packed(chunk));
        }
    }

    /// Adds the chunk that `encode` appends.
    pub(super) fn encode(&mut self, encode: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let start = self.encoded.len();
        self.encoded = encode(std::mem::take(&mut self.encoded));
        let end = self.encoded.len();
        self.add_length(end - start);
        match self.pieces.last_mut() {
            Some(Piece::Encoded(last)) => last.end = end,
            _ => self.pieces.push(Piece::Encoded(start..end)),
        }
    }

    fn add_length(&mut self, length: usize) {
        self.lengths[self.count] = length;
        self.count += 1;
    }

    /// Returns a head and the chunks behind it. `write_head` appends the head; it receives the length of each chunk.
    pub(super) fn finish(self, write_head: impl FnOnce(Vec<u8>, &[usize]) -> Vec<u8>) -> Vec<u8> {
        // The head begins where the encoded bytes end, so that only the packed state itself is a new allocation.
        let start = self.encoded.len();
        let lengths = &self.lengths[..self.count];
        let encoded = write_head(self.encoded, lengths);
        let head = &encoded[start..];
        let mut packed = Vec::with_capacity(head.len() + lengths.iter().sum::<usize>());
        packed.extend_from_slice(head);
        for piece in &self.pieces {
            packed.extend_from_slice(match piece {
                Piece::Packed(chunk) => chunk.bytes(),
                Piece::Encoded(range) => &encoded[range.clone()],
            });
        }
        packed
    }
}
