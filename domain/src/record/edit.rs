//! The difference of two values of one leaf, as pieces of the old value and the bytes between them.
//!
//! A list whose items have an id can be long while an event changes one member of one item. A record then holds the
//! pieces that changed, and refers to the rest.

use std::ops::Range;

use bytes::Bytes;

use super::codec::{DecodeError, Reader, Writer};
use crate::canonical::CanonicalJson;
use crate::profile::Profile;
use crate::scan;
use crate::table::{Leaf, ValueType};

/// The longest value that is stored as an edit; a longer one is stored whole. A short edit can name the same piece many
/// times, so this bounds the memory that a damaged edit can request.
const MAX_VALUE_BYTES: usize = 4 << 20;

/// Number of bytes that are compared at once.
const BLOCK: usize = 16;

/// The text that an edit of a leaf refers to.
///
/// The two lists of deadlines share one base, so that an item that moves between them is not written again.
pub(super) struct Base {
    text: String,
    /// Where the first of the values in it ends.
    split: usize,
    /// Where the leaf's own old value is.
    own: Range<usize>,
}

impl Base {
    /// Returns the base of `leaf` in `profile`; `None` for a leaf that is always written whole.
    pub(super) fn new(leaf: Leaf, profile: &Profile) -> Option<Self> {
        let value = |leaf| profile.get(leaf).map_or("", CanonicalJson::as_str);
        let (first, second) = match leaf.field().value {
            ValueType::Schemes | ValueType::SourceTrace => (value(leaf), ""),
            ValueType::Deadlines => (value(Leaf::DeadlinesOverdue), value(Leaf::DeadlinesUpcoming)),
            _ => return None,
        };
        let (text, split) = ([first, second].concat(), first.len());
        let own = if leaf == Leaf::DeadlinesUpcoming { split..text.len() } else { 0..split };
        let base = Self { text, split, own };
        (!base.text.is_empty()).then_some(base)
    }

    /// Returns the leaf's own old value.
    fn own_value(&self) -> &str {
        &self.text[self.own.clone()]
    }

    /// Returns the values that make up the base text.
    fn values(&self) -> [&str; 2] {
        self.text.split_at(self.split).into()
    }
}

/// A value encoded as an edit of a base.
///
/// Encoded: the base's length, then for each piece the bytes before it with their length, its distance from the
/// end of the last one, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit(pub(super) Bytes);

impl Edit {
    /// Returns the edit that turns the base into `target`; `None` where writing `target` whole is shorter, or it is too
    /// long.
    pub(super) fn between(leaf: Leaf, base: &Base, target: &str) -> Option<Self> {
        if target.len() > MAX_VALUE_BYTES {
            return None;
        }
        let mut builder = Builder::new(base);
        match leaf.field().value {
            ValueType::SourceTrace => builder.object(&base.text, target),
            _ if builder.replace(base.own_value(), target) => {}
            ValueType::Schemes => builder.list("scheme_id", target)?,
            _ => builder.list("deadline_id", target)?,
        }
        let encoded = builder.finish();
        (encoded.len() < target.len()).then(|| Self(encoded.into()))
    }

    /// Returns the value that results from applying the edit to its base.
    pub(super) fn apply(&self, base: &Base) -> Result<CanonicalJson, DecodeError> {
        const DAMAGED: DecodeError = DecodeError::Unknown { what: "piece of a value" };
        let base = base.text.as_bytes();
        let mut input = Reader::new(&self.0);
        if input.varint()? != base.len() as u64 {
            return Err(DecodeError::Unknown { what: "base of an edit" });
        }
        let expected = (base.len() + self.0.len()).min(MAX_VALUE_BYTES);
        let (mut value, mut last) = (Vec::with_capacity(expected), 0_usize);
        let mut append = |part: &[u8]| {
            if value.len() + part.len() > MAX_VALUE_BYTES {
                return Err(DecodeError::Unknown { what: "length of a value" });
            }
            value.extend_from_slice(part);
            Ok(())
        };
        while !input.is_empty() {
            append(input.bytes()?)?;
            let start =
                last.checked_add_signed(isize::try_from(input.signed()?).map_err(|_| DAMAGED)?).ok_or(DAMAGED)?;
            let end =
                usize::try_from(input.varint()?).ok().and_then(|length| start.checked_add(length)).ok_or(DAMAGED)?;
            append(base.get(start..end).ok_or(DAMAGED)?)?;
            last = end;
        }
        let text = String::from_utf8(value).map_err(|_| DecodeError::Unknown { what: "text encoding" })?;
        Ok(CanonicalJson::from_canonical(text))
    }
}

/// Builds an edit from the front of the target to its end.
struct Builder<'b> {
    base: &'b Base,
    out: Writer,
    /// Bytes of the target that come before the piece.
    insert: Vec<u8>,
    /// The piece, a range of the base; empty while none is known.
    start: usize,
    end: usize,
    /// The end of the last piece that was written.
    last: usize,
}

impl<'b> Builder<'b> {
    fn new(base: &'b Base) -> Self {
        let mut out = Writer(Vec::with_capacity(64));
        out.varint(base.text.len() as u64);
        Self { base, out, insert: Vec::new(), start: base.own.start, end: base.own.start, last: 0 }
    }

    /// Appends `text` to the target, extending the current piece while the base continues with the same bytes.
    fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    fn push_bytes(&mut self, mut text: &[u8]) {
        if self.insert.is_empty() || self.end > self.start {
            let common = common_start(text, &self.base.text.as_bytes()[self.end..]);
            self.end += common;
            text = &text[common..];
        }
        if text.is_empty() {
            return;
        }
        if self.end > self.start {
            self.flush();
        }
        self.insert.extend_from_slice(text);
    }

    /// Appends `piece`, a slice of the base, to the target.
    fn copy(&mut self, piece: &str) {
        let (start, end) = self.range_of(piece);
        self.copy_range(start, end);
    }

    fn copy_range(&mut self, mut start: usize, end: usize) {
        if self.end > self.start {
            if start == self.end {
                self.end = end;
                return;
            }
            self.flush();
        }
        // Bytes before the piece that were treated as new may also precede it in the base.
        let base = self.base.text.as_bytes();
        while start > 0 && self.insert.last().is_some_and(|byte| *byte == base[start - 1]) {
            self.insert.pop();
            start -= 1;
        }
        (self.start, self.end) = (start, end);
    }

    /// Returns the range of a slice of the base, from its address: the diff works on slices, whose offsets it would
    /// otherwise have to carry through every iterator.
    fn range_of(&self, slice: &str) -> (usize, usize) {
        let start = slice.as_ptr() as usize - self.base.text.as_ptr() as usize;
        (start, start + slice.len())
    }

    fn flush(&mut self) {
        self.out.bytes(&self.insert);
        self.out.signed(self.start as i64 - self.last as i64);
        self.out.varint((self.end - self.start) as u64);
        self.insert.clear();
        self.last = self.end;
        self.start = self.end;
    }

    /// Appends `target` if it is `old`, a slice of the base, with another text within one value: what is before it and
    /// behind it are two pieces. Returns whether it is.
    fn replace(&mut self, old: &'b str, target: &str) -> bool {
        let before = common_start(old.as_bytes(), target.as_bytes());
        let (old_rest, rest) = (&old.as_bytes()[before..], &target.as_bytes()[before..]);
        let behind = common_end(old_rest, rest);
        let changed = [old_rest, rest].map(|rest| &rest[..rest.len() - behind]);
        if before == 0 || changed.iter().any(|changed| changed.contains(&b'"')) {
            return false;
        }
        let (start, end) = self.range_of(old);
        self.copy_range(start, start + before);
        self.push_bytes(changed[1]);
        self.copy_range(end - behind, end);
        true
    }

    /// Writes a list whose items are identified by the member `key`; `None` where an item has no such member.
    fn list(&mut self, key: &str, target: &str) -> Option<()> {
        let mut known: Vec<(&'b str, &'b str)> = Vec::new();
        for item in self.base.values().into_iter().flat_map(scan::elements) {
            known.push((scan::text_member(item, key)?, item));
        }
        known.sort_unstable();
        let mut before = "[";
        for item in scan::elements(target) {
            self.push(before);
            before = ",";
            let id = scan::text_member(item, key)?;
            match known.binary_search_by(|(known, _)| known.cmp(&id)) {
                Ok(index) if known[index].1 == item => self.copy(known[index].1),
                Ok(index) => self.object(known[index].1, item),
                Err(_) => self.push(item),
            }
        }
        self.push(if before == "[" { "[]" } else { "]" });
        Some(())
    }

    /// Appends the object `target`, comparing it with `old`, a slice of the base. Canonical members are sorted.
    fn object(&mut self, old: &'b str, target: &str) {
        if self.replace(old, target) {
            return;
        }
        let mut known = scan::members(old).peekable();
        let mut before = "{";
        for (name, value) in scan::members(target) {
            self.push(before);
            before = ",";
            while known.next_if(|(other, _)| *other < name).is_some() {}
            match known.next_if(|(other, _)| *other == name) {
                Some((name, same)) if same == value => {
                    let (start, end) = (self.range_of(name).0 - 1, self.range_of(same).1);
                    let base = self.base;
                    self.copy(&base.text[start..end]);
                }
                _ => ["\"", name, "\":", value].into_iter().for_each(|text| self.push(text)),
            }
        }
        self.push(if before == "{" { "{}" } else { "}" });
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.out.0
    }
}

/// Returns how many bytes two texts begin with alike.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let (blocks_a, blocks_b) = (a.as_chunks::<BLOCK>().0, b.as_chunks::<BLOCK>().0);
    let blocks = BLOCK * blocks_a.iter().zip(blocks_b).take_while(|(a, b)| a == b).count();
    blocks + a[blocks..].iter().zip(&b[blocks..]).take_while(|(a, b)| a == b).count()
}

/// Returns how many bytes two texts end with alike.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let (blocks_a, blocks_b) = (a.as_rchunks::<BLOCK>().1, b.as_rchunks::<BLOCK>().1);
    let blocks = BLOCK * blocks_a.iter().rev().zip(blocks_b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - blocks], &b[..b.len() - blocks]);
    blocks + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
