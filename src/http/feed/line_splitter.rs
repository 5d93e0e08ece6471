//! Splits a stream of bytes into lines, as its pieces arrive.

use bytes::{Bytes, BytesMut};

/// A line of the stream, without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamLine {
    /// A line of at most the maximum length.
    Whole(Bytes),
    /// A longer line, whose text was discarded.
    TooLong,
}

/// Splits pieces into lines, and skips blank ones. It keeps at most one line and one piece in memory.
pub(super) struct LineSplitter {
    max_line_bytes: usize,
    /// The rest of the last piece.
    piece: Bytes,
    /// The beginning of a line whose end has not arrived.
    begun: BytesMut,
    /// Whether that line is too long already.
    is_too_long: bool,
}

impl LineSplitter {
    /// Returns a splitter into lines of at most `max_line_bytes`.
    pub(super) fn new(max_line_bytes: usize) -> Self {
        Self { max_line_bytes, piece: Bytes::new(), begun: BytesMut::new(), is_too_long: false }
    }

    /// Adds a piece, after [`LineSplitter::next`] has returned all lines of the last one.
    pub(super) fn push(&mut self, piece: Bytes) {
        debug_assert!(self.piece.is_empty(), "all lines of the last piece were taken");
        self.piece = piece;
    }

    /// Returns the next complete line; `None` if more pieces are needed.
    pub(super) fn next(&mut self) -> Option<StreamLine> {
        while let Some(end) = self.piece.iter().position(|byte| *byte == b'\n') {
            let piece = self.piece.split_to(end);
            let _ = self.piece.split_to(1);
            if let Some(line) = self.complete(piece) {
                return Some(line);
            }
        }
        let rest = std::mem::take(&mut self.piece);
        self.begin(&rest);
        None
    }

    /// Returns the last line if the stream has ended without a line break.
    pub(super) fn finish(&mut self) -> Option<StreamLine> {
        self.complete(Bytes::new())
    }

    /// Returns the number of bytes of an incomplete line that are in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.begun.len()
    }

    /// Adds to the line whose end has not arrived.
    fn begin(&mut self, rest: &[u8]) {
        // One byte more than the maximum, which may be the carriage return of the line break.
        if self.is_too_long || self.begun.len() + rest.len() > self.max_line_bytes + 1 {
            self.is_too_long = true;
            self.begun = BytesMut::new();
        } else {
            self.begun.extend_from_slice(rest);
        }
    }

    /// Ends a line with `piece`, and returns it; `None` if it is blank.
    fn complete(&mut self, piece: Bytes) -> Option<StreamLine> {
        let line = if self.begun.is_empty() && !self.is_too_long {
            piece
        } else {
            self.begin(&piece);
            self.begun.split().freeze()
        };
        if std::mem::take(&mut self.is_too_long) {
            return Some(StreamLine::TooLong);
        }
        let line = line.slice_ref(line.strip_suffix(b"\r").unwrap_or(&line));
        match line.len() {
            0 => None,
            length if length > self.max_line_bytes => Some(StreamLine::TooLong),
            _ if line.trim_ascii().is_empty() => None,
            _ => Some(StreamLine::Whole(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], piece: usize, limit: usize) -> Vec<StreamLine> {
        let mut lines = LineSplitter::new(limit);
        let mut found = Vec::new();
        for piece in text.chunks(piece) {
            lines.push(Bytes::copy_from_slice(piece));
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        found.extend(lines.finish());
        found
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let text = b"one\r\n\n  \ntwo\nfivelong\nthree\nsixlonger\nlast";
        let whole = |text: &'static str| StreamLine::Whole(Bytes::from_static(text.as_bytes()));
        let expected =
            [whole("one"), whole("two"), StreamLine::TooLong, whole("three"), StreamLine::TooLong, whole("last")];
        for piece in 1..=text.len() {
            assert_eq!(cut(text, piece, 5), expected, "pieces of {piece}");
        }
        assert!(cut(b"", 1, 5).is_empty() && cut(b"\n\r\n", 1, 5).is_empty());
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken() {
        for (length, taken) in [(5, true), (6, false)] {
            for piece in 1..=7 {
                for ending in ["", "\n", "\r\n"] {
                    let text = format!("{}{ending}", "x".repeat(length));
                    assert_eq!(
                        matches!(cut(text.as_bytes(), piece, 5)[..], [StreamLine::Whole(_)]),
                        taken,
                        "{text:?} by {piece}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut lines = LineSplitter::new(16);
        for _ in 0..1_000 {
            lines.push(Bytes::from(vec![b'x'; 1_000]));
            assert!(lines.next().is_none());
            assert!(lines.begun.capacity() < 2_000);
        }
        assert_eq!(lines.finish(), Some(StreamLine::TooLong));
    }
}
