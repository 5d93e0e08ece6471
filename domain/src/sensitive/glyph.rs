//! Text as the searches see it: digits of any script and letters of any width are folded, invisible characters are
//! gone.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::digits::digit;
use super::steps;

/// One character, as far as the searches distinguish characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    /// A decimal digit.
    Digit(u8),
    /// A letter from A to Z, in the case that it has.
    Letter(u8),
    /// A letter of another alphabet.
    OtherLetter,
    /// White space.
    Space,
    /// A character that people write between groups of digits.
    Separator(char),
    /// A plus sign.
    Plus,
    /// Another mark that a list or a query may have between groups of digits.
    Mark,
    /// Anything else.
    Other,
}

/// A glyph, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) glyph: Glyph,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How a percent sign before two hexadecimal digits is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percent {
    /// It is read as the sign itself.
    Sign,
    /// It starts an escape (RFC 3986, section 2.1).
    Escape,
}

/// Maximum number of backslashes that are read as one escape: those of text that was escaped four times.
const MAX_BACKSLASHES: usize = 8;

/// Hands every visible character of the text to `visit`, folded. A character such as `⑩` gives several symbols.
pub(super) fn fold(text: &str, percent: Percent, mut visit: impl FnMut(Symbol)) {
    let mut start = 0;
    while let Some(character) = text[start..].chars().next() {
        steps::count(1);
        let (character, length) = escaped(&text[start..], percent).unwrap_or((character, character.len_utf8()));
        let end = start + length;
        let from = std::mem::replace(&mut start, end);
        // Escaping doubles a backslash: the second must not widen the gap between two words.
        if character == '\\' && text[..from].ends_with('\\') {
            continue;
        }
        let mut visit = |glyph| visit(Symbol { glyph, start: from, end });
        if character.is_ascii() {
            visit(ascii(character));
        } else if let Some(digit) = digit(character) {
            visit(Glyph::Digit(digit));
        } else if is_invisible(character) {
            // Invisible characters do not separate digits.
        } else if is_space(character) {
            visit(Glyph::Space);
        } else if is_separator(character) {
            visit(Glyph::Separator(character));
        } else {
            decompose_compatible(character, |part| {
                steps::count(1);
                match digit(part) {
                    Some(digit) => visit(Glyph::Digit(digit)),
                    None if part.is_ascii() => visit(ascii(part)),
                    None if is_combining_mark(part) => {}
                    None if part.is_alphanumeric() => visit(Glyph::OtherLetter),
                    None => visit(Glyph::Other),
                }
            });
        }
    }
}

/// Returns the character that an escape at the start of the text stands for, and the length of the escape in bytes.
fn escaped(text: &str, percent: Percent) -> Option<(char, usize)> {
    match text.as_bytes().first()? {
        b'\\' => backslash_escape(text),
        b'%' if percent == Percent::Escape => percent_escape(text.as_bytes()),
        _ => None,
    }
}

/// Returns the character of an escape that begins with a backslash, and its length in bytes. Logs hold text as Rust or
/// JSON write it, with invisible characters as `\u{200b}` or `\u200b`. Each further escaping doubles the backslashes,
/// so any other number of them is not an escape.
fn backslash_escape(text: &str) -> Option<(char, usize)> {
    let backslashes = leading_backslashes(text);
    if backslashes > MAX_BACKSLASHES || !backslashes.is_power_of_two() {
        return None;
    }
    let escape = &text[backslashes..];
    let (character, length) = match escape.as_bytes().first()? {
        b'n' | b'r' | b't' => (' ', 1),
        b'u' => unicode_escape(escape, backslashes)?,
        _ => return None,
    };
    Some((character, backslashes + length))
}

fn leading_backslashes(text: &str) -> usize {
    text.bytes().take(MAX_BACKSLASHES + 1).take_while(|byte| *byte == b'\\').count()
}

/// Returns the character of an escape that begins with `u`, without its backslashes.
fn unicode_escape(escape: &str, backslashes: usize) -> Option<(char, usize)> {
    if let Some(code) = escape.strip_prefix("u{") {
        let end = code.bytes().take(7).position(|byte| byte == b'}')?;
        return Some((char::from_u32(hex(&code[..end])?)?, end + 3));
    }
    let first = hex(escape.get(1..5)?)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 5));
    }
    // JSON writes a character above U+FFFF as two surrogates (RFC 8259, section 7).
    let rest = &escape[5..];
    if leading_backslashes(rest) != backslashes {
        return None;
    }
    let second = hex(rest[backslashes..].strip_prefix('u')?.get(..4)?)?;
    let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, 5 + backslashes + 5))
}

fn hex(digits: &str) -> Option<u32> {
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// Returns the character of the one to four escapes such as `%E0%A5%A8` at the start of the text, and their length in
/// bytes.
fn percent_escape(text: &[u8]) -> Option<(char, usize)> {
    let mut bytes = [0; 4];
    for count in 0..bytes.len() {
        let Some(byte) = text.get(count * 3..).and_then(percent_byte) else { break };
        bytes[count] = byte;
        if let Some(character) = std::str::from_utf8(&bytes[..=count]).ok().and_then(|text| text.chars().next()) {
            return Some((character, count * 3 + 3));
        }
    }
    percent_byte(text).map(|_| (char::REPLACEMENT_CHARACTER, 3))
}

/// Returns the byte of the escape at the start of the text.
fn percent_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(high)? * 16 + value(low)?)
}

/// Returns whether the text has an escape that begins with `%`.
pub(super) fn has_percent_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(|bytes| percent_byte(bytes).is_some())
}

fn ascii(character: char) -> Glyph {
    match character {
        '0'..='9' => Glyph::Digit(character as u8 - b'0'),
        'A'..='Z' | 'a'..='z' => Glyph::Letter(character as u8),
        ' ' | '\t'..='\r' => Glyph::Space,
        '-' | '.' | ':' | '/' | '_' | '\\' | '|' | '~' | '(' | ')' | '[' | ']' => Glyph::Separator(character),
        '+' => Glyph::Plus,
        ',' | ';' | '*' | '#' | '=' | '&' | '?' | '@' | '!' | '$' | '\'' => Glyph::Mark,
        _ => Glyph::Other,
    }
}

/// Returns whether the character is a Unicode format character (category Cf), a combining mark, or a filler without
/// width.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
        || is_combining_mark(character)
}

/// Returns whether the character is white space of any kind, or the blank of Braille, which looks like it.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{2800}'
}

/// Dashes (Unicode's category Pd and the minus sign) and dots in the middle of the line.
pub(super) fn is_separator(character: char) -> bool {
    matches!(character,
        '\u{b7}' | '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2022}' | '\u{2024}'
        | '\u{2027}' | '\u{203f}' | '\u{2040}' | '\u{2043}' | '\u{2044}' | '\u{2053}'..='\u{2054}' | '\u{2212}' | '\u{2215}'
        | '\u{2219}' | '\u{22c5}' | '\u{2e17}' | '\u{2e1a}' | '\u{2e3a}'..='\u{2e3b}' | '\u{2e40}' | '\u{2e5d}'
        | '\u{301c}' | '\u{3030}' | '\u{30a0}' | '\u{30fb}' | '\u{fe31}'..='\u{fe34}' | '\u{fe4d}'..='\u{fe4f}'
        | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{10d6e}' | '\u{10ead}')
}
