//! The stored form of one value: canonical JSON as a sequence of codes, and short texts such as ids.
//!
//! Decoding gives back exactly the text that was encoded. Within one release a text has one coded form, so equal bytes
//! mean equal text and the other way round. Phrases and shapes that are added later change what new values are coded
//! as, never what stored bytes mean.
//!
//! | First byte    | Then                                  | Value                                                  |
//! |---------------|---------------------------------------|--------------------------------------------------------|
//! | `00`–`7f`     |                                       | the phrase of that number                              |
//! | `80`–`8f`     | 1 byte                                | phrase 128 + 12 bits                                   |
//! | `90`–`af`     |                                       | an integer from 0 to 31                                |
//! | `b0`, `b1`    | 1 or 2 bytes                          | an integer from 32, or from 288                        |
//! | `b2`          | half bytes, ended by `f`              | any other number, as its text                          |
//! | `b3`          | 1 byte                                | hundredths: 0.01 to 0.99                               |
//! | `b4` `b5` `b6`|                                       | `null`, `false`, `true`                                |
//! | `b7`          | length, bytes                         | a string, as it stands between the quotes              |
//! | `b8`, `b9`    | characters, 3 of them in 2 bytes      | a string of `a-z0-9_-./`; the same after `tok_`        |
//! | `ba`–`bd`     | days from 2026, signed                | a date; after `verified_`, `synced_`, `computed_`      |
//! | `be` `bf` `c0`| s, ms or µs from 2026, signed         | an instant                                             |
//! | `c1`          | 16 bytes                              | a UUID                                                 |
//! | `c2`          | phrase, year, month if any            | `dl_advance_tax_2026_06`                               |
//! | `c3`          | 3 bytes                               | a string of six digits                                 |
//! | `c4`          | phrase, letter                        | `Rajesh K.`                                            |
//! | `c5`          | length, bytes                         | a whole value as text                                  |
//! | `c6`, `c7`    | count in 4 bytes, items               | a long array, a long object                            |
//! | `cc`–`d7`     | items                                 | an array of 0 to 11 items                              |
//! | `d8`–`df`     | a string and a value for each member  | an object of 0 to 7 members                            |
//! | `e0`–`ff`     | the values                            | an object of a known shape                             |
//!
//! A bare text has the codes of a string, and for `90`–`af` two numbers: an event id such as `idn-3-110`. Lengths,
//! numbers of phrases and signed values are varints.

mod bytes;
mod calendar;
mod codes;
mod decoder;
mod encoder;
mod number;
mod phrases;
mod shapes;
mod slug;
mod text;

use super::codec::DecodeError;

/// Appends the coded form of a value, which is canonical JSON text. Any other text is kept as it is.
pub(super) fn encode(out: &mut Vec<u8>, value: &str) {
    encoder::put(out, value);
}

/// Reads a value and appends its text.
///
/// # Errors
/// The bytes are damaged. A part of the text may have been appended.
pub(super) fn decode(input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    *input = decoder::take(input, out).ok_or(DAMAGED)?;
    Ok(())
}

/// Reads a value if its text is a constant of this program, which most are. Otherwise the input stays as it is.
pub(super) fn decode_constant(input: &mut &[u8]) -> Option<&'static str> {
    let (constant, rest) = decoder::take_constant(input)?;
    *input = rest;
    Some(constant)
}

/// Appends the coded form of a bare text, such as an id.
pub(super) fn encode_text(out: &mut Vec<u8>, value: &str) {
    text::put_bare(out, value);
}

/// Reads a bare text and appends it.
///
/// # Errors
/// The bytes are damaged. A part of the text may have been appended.
pub(super) fn decode_text(input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    *input = text::take_bare(input, out).ok_or(DAMAGED)?;
    Ok(())
}

const DAMAGED: DecodeError = DecodeError::Unknown { what: "coded value" };

#[cfg(test)]
mod tests;
