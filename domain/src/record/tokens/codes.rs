//! The first byte of each coded value, and the bounds that encoder and decoder share.

/// Phrases below this are coded by one byte, which is the phrase's number.
pub(super) const SHORT_PHRASES: usize = 0x80;
/// From here, 16 codes hold the upper bits of a phrase's number less [`SHORT_PHRASES`]; a byte holds the lower bits.
pub(super) const LONG_PHRASE: u8 = 0x80;
pub(super) const LONG_PHRASE_END: u8 = 0x8f;
/// The number of phrases that have a code.
pub(super) const MAX_PHRASES: usize = SHORT_PHRASES + 0x1000;

/// From here, one byte is an integer from 0 to 31; or, in a bare text, the beginning of an event id.
pub(super) const INTEGER: u8 = 0x90;
pub(super) const INTEGER_END: u8 = 0xaf;
/// A byte: an integer from 32.
pub(super) const INTEGER_8: u8 = 0xb0;
/// Two bytes: an integer from 288.
pub(super) const INTEGER_16: u8 = 0xb1;
/// The text of a number, two characters a byte.
pub(super) const NUMBER: u8 = 0xb2;
/// A byte: hundredths from 1 to 99.
pub(super) const HUNDREDTHS: u8 = 0xb3;
pub(super) const NULL: u8 = 0xb4;
pub(super) const FALSE: u8 = 0xb5;
pub(super) const TRUE: u8 = 0xb6;

/// The content of a string: its length and its bytes, as they stand between the quotes.
pub(super) const TEXT: u8 = 0xb7;
/// The length in characters, then three characters of `a-z0-9_-./` in two bytes.
pub(super) const SLUG: u8 = 0xb8;
/// As [`SLUG`], after `tok_`.
pub(super) const TOKEN: u8 = 0xb9;
/// From here, a date after one of [`super::calendar::PREFIXES`].
pub(super) const DATE: u8 = 0xba;
/// From here, an instant in seconds, milliseconds or microseconds.
pub(super) const INSTANT: u8 = 0xbe;
pub(super) const INSTANT_END: u8 = 0xc0;
/// A UUID in lower case.
pub(super) const UUID: u8 = 0xc1;
/// A phrase, `_`, a year, and a month or none.
pub(super) const DATED: u8 = 0xc2;
/// Six digits of which the first is not 0.
pub(super) const PINCODE: u8 = 0xc3;
/// A phrase, a space, a capital letter and a full stop.
pub(super) const NAME: u8 = 0xc4;

/// A whole value as text, which no other code fits.
pub(super) const RAW: u8 = 0xc5;
/// An array, with its number of items in four bytes.
pub(super) const LONG_ARRAY: u8 = 0xc6;
/// An object, with its number of members in four bytes.
pub(super) const LONG_OBJECT: u8 = 0xc7;

/// From here, an array of so many items.
pub(super) const ARRAY: u8 = 0xcc;
pub(super) const ARRAY_END: u8 = 0xd7;
/// From here, an object of so many members: each is a string and a value.
pub(super) const OBJECT: u8 = 0xd8;
pub(super) const OBJECT_END: u8 = 0xdf;
/// From here, an object of a shape: the values of its members.
pub(super) const SHAPE: u8 = 0xe0;

/// How deeply arrays and objects are coded; deeper values are kept as text. Validation admits at most 120.
pub(super) const MAX_DEPTH: usize = 128;
