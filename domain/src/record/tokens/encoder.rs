//! From canonical JSON text to codes, in one pass.

use memchr::memchr;

use super::codes::{
    ARRAY, ARRAY_END, FALSE, LONG_ARRAY, LONG_OBJECT, MAX_DEPTH, NULL, OBJECT, OBJECT_END, RAW, SHAPE, TRUE,
};
use super::shapes::{NONE, OTHERWISE, SHAPES};
use super::{bytes, number, phrases, text};
use crate::scan::find_quote;

/// Appends a value. Text that is not canonical JSON, or nests too deeply, is appended as it is.
pub(super) fn put(out: &mut Vec<u8>, value: &str) {
    let start = out.len();
    let mut encoder = Encoder { text: value.as_bytes(), at: 0, out };
    let coded = encoder.value(MAX_DEPTH).is_some() && encoder.at == value.len();
    if !coded {
        out.truncate(start);
        out.push(RAW);
        bytes::put_varint(out, value.len() as u64);
        out.extend_from_slice(value.as_bytes());
    }
}

struct Encoder<'t, 'o> {
    text: &'t [u8],
    at: usize,
    out: &'o mut Vec<u8>,
}

impl<'t> Encoder<'t, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over a text that must come next.
    fn pass(&mut self, expected: &[u8]) -> bool {
        let comes = self.rest().starts_with(expected);
        if comes {
            self.at += expected.len();
        }
        comes
    }

    /// As [`Self::pass`]; most pieces that do not come next differ in their first eight bytes.
    fn pass_piece(&mut self, piece: &[u8]) -> bool {
        self.rest().first_chunk::<8>() == piece.first_chunk::<8>() && self.pass(piece)
    }

    /// Codes the next value; `None` if it is not canonical or nests deeper than `depth`.
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b't' => self.literal("true", TRUE),
            b'f' => self.literal("false", FALSE),
            b'n' => self.literal("null", NULL),
            _ => self.number(),
        }
    }

    fn literal(&mut self, literal: &str, code: u8) -> Option<()> {
        self.out.push(code);
        self.pass(literal.as_bytes()).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.rest();
        if let [b'0', b'.', tens @ b'0'..=b'9', ones @ b'1'..=b'9', b',' | b'}', ..] = rest {
            self.at += 4;
            number::put_hundredths(self.out, *tens, *ones);
            return Some(());
        }
        let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}')).unwrap_or(rest.len());
        self.at += length;
        number::put(self.out, &rest[..length])
    }

    fn string(&mut self) -> Option<()> {
        let rest = self.rest().strip_prefix(b"\"")?;
        let mut end = find_quote(rest)?;
        while rest[end] == b'\\' {
            end += 2;
            end += find_quote(rest.get(end..)?)?;
        }
        self.at += end + 2;
        text::put(self.out, &rest[..end]);
        Some(())
    }

    /// Codes the text up to a byte as one phrase if it is one.
    fn span(&mut self, end: u8, with_end: bool) -> Option<()> {
        let rest = self.rest();
        let window = &rest[..rest.len().min(phrases::MAX_SPAN)];
        let length = memchr(end, window)? + usize::from(with_end);
        let number = phrases::span(&window[..length])?;
        phrases::put(self.out, number);
        self.at += length;
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        if self.text.get(self.at + 1) == Some(&b'"') && self.span(b']', true).is_some() {
            return Some(());
        }
        self.list(b']', (ARRAY, ARRAY_END, LONG_ARRAY), |encoder| encoder.value(depth))
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        let (at, start) = (self.at, self.out.len());
        if self.shaped(depth).is_some() {
            return Some(());
        }
        self.at = at;
        self.out.truncate(start);
        self.list(b'}', (OBJECT, OBJECT_END, LONG_OBJECT), |encoder| {
            encoder.string()?;
            encoder.pass(b":").then_some(())?;
            encoder.value(depth)
        })
    }

    /// Codes what stands between brackets, with its count in front.
    fn list(
        &mut self,
        close: u8,
        (first, last, long): (u8, u8, u8),
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let start = self.out.len();
        self.out.push(first);
        self.at += 1;
        let mut count = 0_u32;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            count = count.checked_add(1)?;
            let next = self.peek()?;
            self.at += 1;
            if next == close {
                break;
            }
            if next != b',' {
                return None;
            }
        }
        if count <= u32::from(last - first) {
            self.out[start] = first + count as u8;
        } else {
            self.out[start] = long;
            self.out.splice(start + 1..start + 1, count.to_le_bytes());
        }
        Some(())
    }

    /// Codes an object of a known shape, whose values are plain or lists of plain values: so that a value is coded at
    /// most twice however deep it is.
    fn shaped(&mut self, depth: usize) -> Option<()> {
        let start = self.out.len();
        self.out.push(0);
        let (mut shape, mut member) = (0, 0);
        loop {
            let pieces = SHAPES[shape].pieces;
            let fits = match pieces.get(member) {
                Some(piece) => self.pass_piece(piece.as_bytes()),
                None => self.pass(b"}"),
            };
            if !fits {
                shape = usize::from(OTHERWISE[shape][member]);
                if shape == usize::from(NONE) {
                    return None;
                }
                continue;
            }
            if member == pieces.len() {
                self.out[start] = SHAPE + shape as u8;
                return Some(());
            }
            member += 1;
            self.member(shape, member, depth.min(1))?;
        }
    }

    /// Codes a value of a shape; `next` is the position of the one behind it.
    fn member(&mut self, shape: usize, next: usize, depth: usize) -> Option<()> {
        let other = OTHERWISE[shape][next];
        let may_end = other != NONE && SHAPES[usize::from(other)].ends_in_span;
        if may_end && SHAPES[usize::from(other)].pieces.len() == next && self.span(b'}', false).is_some() {
            return Some(());
        }
        self.value(depth)
    }
}
