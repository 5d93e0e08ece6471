//! The phrase table: texts that occur in many values, each coded by its number.
//!
//! `phrases.txt` holds one phrase a line, the most frequent first, and is append-only: stored bytes name a phrase by
//! its line, so a line is never changed, moved or removed. `cargo run --release -p data --example phrase_table` appends
//! what it lacks. A phrase is JSON text as it stands in a value: a string (a *word*), or a *span*: a whole array of
//! strings, or what an object ends in, such as a scheme from its rules on.

use super::bytes::{put_varint, take_byte, take_varint};
use super::codes::{LONG_PHRASE, MAX_PHRASES, SHORT_PHRASES};

const TEXT: &str = include_str!("phrases.txt");

/// Every phrase by its number.
pub(super) static PHRASES: [&str; COUNT] = split();

pub(super) const COUNT: usize = count_lines();

const _: () = assert!(COUNT <= MAX_PHRASES, "every phrase has a code");

const BITS: u32 = 13;
const SLOTS: usize = 1 << BITS;

/// Open hash tables: the number of a phrase plus one in the lower half, bits of the hash in the upper; 0 is empty.
static WORDS: [u32; SLOTS] = index(true);
static SPANS: [u32; SLOTS] = index(false);

/// The longest text that can be a span.
pub(super) const MAX_SPAN: usize = 256;

/// Returns the number of the string with this content.
pub(super) fn word(content: &[u8]) -> Option<usize> {
    let is = |phrase: &[u8]| phrase.len() == content.len() + 2 && &phrase[1..=content.len()] == content;
    find(&WORDS, content, is)
}

/// Returns the number of the phrase with this text, which is not one string.
pub(super) fn span(text: &[u8]) -> Option<usize> {
    find(&SPANS, text, |phrase| phrase == text)
}

fn find(index: &[u32; SLOTS], text: &[u8], is: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let hash = hash(text);
    let mut slot = slot(hash);
    loop {
        let entry = index[slot % SLOTS];
        if entry == 0 {
            return None;
        }
        let number = (entry & 0xffff) as usize - 1;
        if entry & TAG == hash as u32 & TAG && is(PHRASES[number].as_bytes()) {
            return Some(number);
        }
        slot += 1;
    }
}

/// Appends the code of a phrase.
pub(super) fn put(out: &mut Vec<u8>, number: usize) {
    match number.checked_sub(SHORT_PHRASES) {
        None => out.push(number as u8),
        Some(rest) => out.extend_from_slice(&[LONG_PHRASE | (rest >> 8) as u8, rest as u8]),
    }
}

/// Reads the rest of a phrase's code.
pub(super) fn take(code: u8, input: &[u8]) -> Option<(&'static str, &[u8])> {
    let (number, rest) = match code.checked_sub(LONG_PHRASE) {
        None => (usize::from(code), input),
        Some(upper) => {
            let (lower, rest) = take_byte(input)?;
            (SHORT_PHRASES + (usize::from(upper) << 8 | usize::from(lower)), rest)
        }
    };
    Some((PHRASES.get(number)?, rest))
}

/// Appends the number of a word that is a part of a string.
pub(super) fn put_part(out: &mut Vec<u8>, number: usize) {
    put_varint(out, number as u64);
}

/// Reads what [`put_part`] wrote: the content of the string.
pub(super) fn take_part(input: &[u8]) -> Option<(&'static str, &[u8])> {
    let (number, rest) = take_varint(input)?;
    Some((content(PHRASES.get(number as usize)?)?, rest))
}

/// Returns what stands between the quotes of a word.
pub(super) fn content(phrase: &'static str) -> Option<&'static str> {
    phrase.strip_prefix('"')?.strip_suffix('"')
}

const TAG: u32 = 0xffff_0000;

const fn slot(hash: u64) -> usize {
    (hash >> (64 - BITS)) as usize
}

/// Mixes the length with the first, the middle and the last bytes.
const fn hash(text: &[u8]) -> u64 {
    let length = text.len();
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64),
            _ if length == 0 => (0, 0),
            _ => (text[0] as u64, (text[length / 2] as u64) << 8 | text[length - 1] as u64),
        },
    };
    let middle = match text.split_at(length / 2).1.first_chunk::<8>() {
        Some(middle) => u64::from_le_bytes(*middle),
        None => 0,
    };
    let mixed = first.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ last.wrapping_add(length as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ middle.wrapping_mul(0x1656_67b1_9e37_79f9);
    mixed ^ mixed >> 29
}

const fn count_lines() -> usize {
    let (bytes, mut at, mut lines) = (TEXT.as_bytes(), 0, 0);
    while at < bytes.len() {
        lines += (bytes[at] == b'\n') as usize;
        at += 1;
    }
    lines
}

const fn split() -> [&'static str; COUNT] {
    let mut phrases = [""; COUNT];
    let (bytes, mut rest, mut start, mut at, mut number) = (TEXT.as_bytes(), TEXT, 0, 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            let (phrase, tail) = rest.split_at(at - start);
            phrases[number] = phrase;
            rest = tail.split_at(1).1;
            number += 1;
            start = at + 1;
        }
        at += 1;
    }
    phrases
}

/// Returns whether a phrase is one string; no phrase holds an escape.
const fn is_word(phrase: &[u8]) -> bool {
    let (mut at, mut quotes) = (0, 0);
    while at < phrase.len() {
        quotes += (phrase[at] == b'"') as usize;
        at += 1;
    }
    quotes == 2 && phrase[0] == b'"'
}

const fn index(words: bool) -> [u32; SLOTS] {
    let mut index = [0; SLOTS];
    let mut number = 0;
    while number < COUNT {
        let phrase = PHRASES[number].as_bytes();
        if is_word(phrase) == words {
            let text = if words { phrase.split_at(1).1.split_at(phrase.len() - 2).0 } else { phrase };
            let hash = hash(text);
            let mut slot = slot(hash);
            while index[slot % SLOTS] != 0 {
                slot += 1;
            }
            index[slot % SLOTS] = hash as u32 & TAG | (number as u32 + 1);
        }
        number += 1;
    }
    index
}
