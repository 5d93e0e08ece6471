//! Laws of the coding, and the bytes of each code.

use super::*;

mod damage;
mod examples;
mod property;
mod table;

/// The values of some people of the generated population; `phrase_table` of the crate `data` wrote them.
const SAMPLE: &str = include_str!("sample.txt");

/// Encodes a value, checks that it is decoded, and returns the bytes.
fn checked(value: &str) -> Vec<u8> {
    let mut bytes = vec![0xaa];
    encode(&mut bytes, value);
    bytes.remove(0);
    let mut text = String::from("before");
    let mut input = bytes.as_slice();
    decode(&mut input, &mut text).unwrap_or_else(|error| panic!("{error}: {value}"));
    assert_eq!(text, format!("before{value}"));
    assert_eq!(input, b"");
    assert!(bytes.len() <= value.len() + 8, "{} bytes for {value}", bytes.len());
    let mut input = bytes.as_slice();
    match decode_constant(&mut input) {
        Some(constant) => assert_eq!((constant, input.len()), (value, 0)),
        None => assert_eq!(input, bytes, "nothing was read"),
    }
    bytes
}

/// As [`checked`], for a bare text.
fn checked_text(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_text(&mut bytes, value);
    let mut text = String::new();
    let mut input = bytes.as_slice();
    decode_text(&mut input, &mut text).unwrap_or_else(|error| panic!("{error}: {value}"));
    assert_eq!(text, value);
    assert_eq!(input, b"");
    assert!(bytes.len() <= value.len() + 8, "{} bytes for {value}", bytes.len());
    bytes
}
