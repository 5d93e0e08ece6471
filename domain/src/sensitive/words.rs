//! Numbers of documents: PAN, GSTIN, voter id, passport. Words of letters and digits in a fixed pattern.

use std::ops::Range;

use super::SensitiveKind;
use super::glyph::{Glyph, Symbol};

/// The longest word that is looked for.
const MAX_CHARS: usize = 15;

/// `A` is a letter, `9` a digit, `X` either, `H` a letter that names the kind of holder.
const PAN: &[u8] = b"AAAHA9999A";
const GSTIN: &[u8] = b"99AAAHA9999AXZX";
const VOTER_ID: &[u8] = b"AAA9999999";
const PASSPORT: &[u8] = b"A9999999";

/// A word of ASCII letters and digits.
#[derive(Debug, Clone)]
struct Word {
    bytes: [u8; MAX_CHARS],
    /// How many characters the word has, also beyond those that are kept.
    length: usize,
    range: Range<usize>,
    /// No document number has letters of other alphabets.
    foreign: bool,
    /// Whether one to three separators part it from the word before.
    joined: bool,
}

impl Word {
    fn text(&self) -> &[u8] {
        if self.foreign || self.length > MAX_CHARS { &[] } else { &self.bytes[..self.length] }
    }
}

/// Gathers words from the symbols of a text.
pub(super) struct Words<F> {
    open: Option<Word>,
    /// The two words before.
    before: [Option<Word>; 2],
    gap: usize,
    found: F,
}

impl<F: FnMut(SensitiveKind, Range<usize>, bool)> Words<F> {
    /// Returns a reader that calls `found` with the kind of each number, its position, and whether it is one word.
    pub(super) fn new(found: F) -> Self {
        Self { open: None, before: [None, None], gap: usize::MAX, found }
    }

    pub(super) fn take(&mut self, symbol: Symbol) {
        let byte = match symbol.glyph {
            Glyph::Digit(digit) => Some(b'0' + digit),
            Glyph::Letter(letter) => Some(letter),
            Glyph::OtherLetter => None,
            // A plus sign is a space in a query.
            Glyph::Space | Glyph::Separator(_) | Glyph::Plus => return self.close(1),
            Glyph::Mark | Glyph::Other => return self.close(usize::MAX),
        };
        let joined = (1..=3).contains(&self.gap);
        let word = self.open.get_or_insert(Word {
            bytes: [0; MAX_CHARS],
            length: 0,
            range: symbol.start..symbol.end,
            foreign: false,
            joined,
        });
        match (byte, word.bytes.get_mut(word.length)) {
            (Some(byte), Some(place)) => *place = byte,
            (Some(_), None) => {}
            (None, _) => word.foreign = true,
        }
        word.length += 1;
        word.range.end = symbol.end;
        self.gap = 0;
    }

    pub(super) fn finish(mut self) {
        self.close(usize::MAX);
    }

    fn close(&mut self, gap: usize) {
        self.gap = self.gap.saturating_add(gap);
        let Some(word) = self.open.take() else { return };
        if let Some(kind) = kind_of(word.text()) {
            (self.found)(kind, word.range.clone(), true);
        } else if let Some(start) = self.start_of_spaced_pan(&word) {
            (self.found)(SensitiveKind::Pan, start..word.range.end, false);
        }
        self.before = [self.before[1].take(), Some(word)];
    }

    /// Returns where a PAN begins that ends with `last` and is written as `ABCPE 1234 F`, `ABCPE 1234F` or `ABCPE1234
    /// F`.
    ///
    /// In capitals only, because small words and a number would make one too easily: "slept 1234 a". Never with a year:
    /// `BATCH-2025-A`.
    fn start_of_spaced_pan(&self, last: &Word) -> Option<usize> {
        let second = self.before[1].as_ref().filter(|_| last.joined)?;
        let first = match (second.length, last.length) {
            (5, 5) | (9, 1) => second,
            (4, 1) => self.before[0].as_ref().filter(|first| second.joined && first.length == 5)?,
            _ => return None,
        };
        let head = if first.range.start == second.range.start { &[] } else { first.text() };
        let text = [head, second.text(), last.text()].concat();
        let is_capital = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        (fits(&text, PAN) && text.iter().all(is_capital) && !has_year(&text)).then_some(first.range.start)
    }
}

fn kind_of(word: &[u8]) -> Option<SensitiveKind> {
    // A PAN is often written in lower case, but so is a word with a year (`batch2025a`). The patterns of a voter's card
    // and a passport would match too many words in lower case.
    let is_capital = !word.iter().any(u8::is_ascii_lowercase);
    if fits(word, PAN) && (is_capital || !has_year(word)) {
        Some(SensitiveKind::Pan)
    } else if fits(word, GSTIN) {
        Some(SensitiveKind::Gstin)
    } else if is_capital && fits(word, VOTER_ID) {
        Some(SensitiveKind::VoterId)
    } else if is_capital && fits(word, PASSPORT) {
        Some(SensitiveKind::Passport)
    } else {
        None
    }
}

/// Returns whether the digits of a word that fits [`PAN`] are a year of the twentieth or twenty-first century.
fn has_year(pan: &[u8]) -> bool {
    matches!(&pan[5..7], b"19" | b"20")
}

fn fits(word: &[u8], pattern: &[u8]) -> bool {
    word.len() == pattern.len()
        && word.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'A' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit(),
            b'X' => byte.is_ascii_alphanumeric(),
            b'H' => b"ABCFGHJLPT".contains(&byte.to_ascii_uppercase()),
            other => byte.eq_ignore_ascii_case(other),
        })
}
