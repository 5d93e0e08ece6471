//! A part of a packed state, as it is copied to the next one.

/// The packed form of one document or section, in the bytes that it shares with the others of its state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedChunk<'a> {
    state: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> PackedChunk<'a> {
    /// Returns the chunk from `start` to `end` of the chunks of a packed state; `None` if there is no such chunk, or if it
    /// is empty.
    pub(crate) fn new(state: &'a [u8], start: usize, end: usize) -> Option<Self> {
        (start < end && end <= state.len()).then_some(Self { state, start, end })
    }

    /// Returns the number of bytes of the chunk.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns the bytes of the chunk.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.state[self.start..self.end]
    }

    /// Returns the chunk and `next` as one; `None` if `next` does not follow it in the same state.
    pub(crate) fn join(self, next: Self) -> Option<Self> {
        let is_next = std::ptr::eq(self.state, next.state) && self.end == next.start;
        is_next.then_some(Self { end: next.end, ..self })
    }
}
