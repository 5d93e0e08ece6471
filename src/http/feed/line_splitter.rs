//! Cutting a stream of bytes into lines, as pieces arrive.

use bytes::{Bytes, BytesMut};

/// One line of the stream, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line within the limit.
    Whole(Bytes),
    /// A line beyond the limit; what it held is gone.
    TooLong,
}

/// Cuts lines. Blank ones are skipped. It holds at most one line and one piece.
pub(super) struct LineSplitter {
    limit: usize,
    piece: Bytes,
    begun: BytesMut,
    overlong: bool,
}

impl LineSplitter {
    /// Splits into lines of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, piece: Bytes::new(), begun: BytesMut::new(), overlong: false }
    }

    /// Adds a piece, once [`LineSplitter::next`] has given all lines of the one before.
    pub(super) fn push(&mut self, piece: Bytes) {
        debug_assert!(self.piece.is_empty(), "the piece before is used up");
        self.piece = piece;
    }

    /// The next line that is complete.
    pub(super) fn next(&mut self) -> Option<Line> {
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

    /// The last line, when the stream ended without an end of line.
    pub(super) fn finish(&mut self) -> Option<Line> {
        self.complete(Bytes::new())
    }

    /// Bytes of the line that has begun.
    pub(super) fn held(&self) -> usize {
        self.begun.len()
    }

    fn begin(&mut self, rest: &[u8]) {
        if self.overlong || self.begun.len() + rest.len() > self.limit + 1 {
            self.overlong = true;
            self.begun = BytesMut::new();
        } else {
            self.begun.extend_from_slice(rest);
        }
    }

    fn complete(&mut self, piece: Bytes) -> Option<Line> {
        let line = if self.begun.is_empty() && !self.overlong {
            piece
        } else {
            self.begin(&piece);
            self.begun.split().freeze()
        };
        if std::mem::take(&mut self.overlong) {
            return Some(Line::TooLong);
        }
        let line = line.slice_ref(line.strip_suffix(b"\r").unwrap_or(&line));
        match line.len() {
            0 => None,
            length if length > self.limit => Some(Line::TooLong),
            _ if line.trim_ascii().is_empty() => None,
            _ => Some(Line::Whole(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], piece: usize, limit: usize) -> Vec<Line> {
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
        let whole = |text: &'static str| Line::Whole(Bytes::from_static(text.as_bytes()));
        let expected = [whole("one"), whole("two"), Line::TooLong, whole("three"), Line::TooLong, whole("last")];
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
                        matches!(cut(text.as_bytes(), piece, 5)[..], [Line::Whole(_)]),
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
        assert_eq!(lines.finish(), Some(Line::TooLong));
    }
}
