//! Checks that every line of a stream is JSON.

use anyhow::{Result, ensure};
use memchr::{memchr, memchr_iter, memrchr};
use serde::de::IgnoredAny;

/// Takes a stream in pieces, and cuts it where its lines end.
#[derive(Default)]
pub(super) struct LineChecker {
    /// The start of a line whose end was not received yet.
    partial: Vec<u8>,
}

/// The complete lines of a piece: the line that an earlier piece started, and the others.
pub(super) struct CheckedLines<'a> {
    pub(super) first: Vec<u8>,
    pub(super) others: &'a [u8],
    pub(super) count: u64,
}

impl LineChecker {
    /// Returns the lines that end in this piece, line ends included. Empty lines are not counted.
    ///
    /// # Errors
    /// A line is not JSON.
    pub(super) fn take<'a>(&mut self, piece: &'a [u8]) -> Result<CheckedLines<'a>> {
        let (mut first, mut rest, mut count) = (Vec::new(), piece, 0);
        if !self.partial.is_empty() {
            let Some(end) = memchr(b'\n', piece) else {
                self.partial.extend_from_slice(piece);
                return Ok(CheckedLines { first, others: &[], count });
            };
            first = std::mem::take(&mut self.partial);
            first.extend_from_slice(&piece[..=end]);
            rest = &piece[end + 1..];
            count += check(&first[..first.len() - 1])?;
        }
        let others = &rest[..memrchr(b'\n', rest).map_or(0, |end| end + 1)];
        let mut start = 0;
        for end in memchr_iter(b'\n', others) {
            count += check(&others[start..end])?;
            start = end + 1;
        }
        self.partial.extend_from_slice(&rest[others.len()..]);
        Ok(CheckedLines { first, others, count })
    }

    /// Returns the last line, which has no line end.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn finish(&mut self) -> Result<CheckedLines<'static>> {
        let mut first = std::mem::take(&mut self.partial);
        let count = check(&first)?;
        if count > 0 {
            first.push(b'\n');
        }
        Ok(CheckedLines { first, others: &[], count })
    }
}

/// Checks a line. Returns the number of events in it, which is 0 for an empty line.
fn check(line: &[u8]) -> Result<u64> {
    if line.is_empty() {
        return Ok(0);
    }
    ensure!(serde_json::from_slice::<IgnoredAny>(line).is_ok(), "a line that is not JSON");
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let stream = b"{\"a\":1}\n{\"bc\":[2,\"x\"]}\n\n{}\n{\"d\":null}";
        for cut in 0..stream.len() {
            for step in [1, 4, stream.len()] {
                let (mut checker, mut log, mut count) = (LineChecker::default(), Vec::new(), 0);
                let (before, after) = stream.split_at(cut);
                for piece in before.chunks(step).chain(after.chunks(step)) {
                    let lines = checker.take(piece).expect("JSON");
                    log.extend_from_slice(&lines.first);
                    log.extend_from_slice(lines.others);
                    count += lines.count;
                }
                let last = checker.finish().expect("JSON");
                log.extend_from_slice(&last.first);
                assert_eq!(count + last.count, 4, "cut at {cut} by {step}");
                assert_eq!(log, [stream.as_slice(), b"\n"].concat(), "cut at {cut} by {step}");
            }
        }
    }

    #[test]
    fn a_line_that_is_not_json_is_refused() {
        for text in ["{\"a\":1}\n{\"a\":}\n", "{\"a\":1} {\"b\":2}\n"] {
            assert!(LineChecker::default().take(text.as_bytes()).is_err(), "{text}");
        }
        let mut checker = LineChecker::default();
        checker.take(b"{\"a\":").expect("a part of a line");
        assert!(checker.finish().is_err());
    }
}
