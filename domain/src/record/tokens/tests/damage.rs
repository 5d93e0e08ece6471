//! Damaged bytes are refused or read as something else: they neither panic nor claim memory without bound.

use proptest::prelude::*;

use super::super::phrases::PHRASES;
use super::*;

/// Reads bytes in every way, and checks the bounds.
fn read(bytes: &[u8]) {
    let longest = PHRASES.iter().map(|phrase| phrase.len()).max().unwrap_or_default();
    type Decode = fn(&mut &[u8], &mut String) -> Result<(), DecodeError>;
    // Whether it is a constant does not matter here.
    let _ = decode_constant(&mut &bytes[..]);
    for decode in [decode as Decode, decode_text] {
        let (mut text, mut input) = (String::new(), bytes);
        // Whether it is refused does not matter here.
        let _ = decode(&mut input, &mut text);
        assert!(text.len() <= (bytes.len() + 1) * (longest + 32), "{} bytes of text", text.len());
    }
}

#[test]
fn every_beginning_of_a_value_is_refused() {
    for value in SAMPLE.lines() {
        let bytes = checked(value);
        for length in 0..bytes.len() {
            let mut text = String::new();
            assert!(decode(&mut &bytes[..length], &mut text).is_err(), "{length} bytes of {value}");
        }
    }
}

#[test]
fn bytes_that_repeat_are_read_within_bounds() {
    for byte in 0..=255 {
        read(&[byte; 4_096]);
        read(&[byte]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        read(&bytes);
    }

    #[test]
    fn a_flipped_byte_is_read_within_bounds(line in 0..SAMPLE.lines().count(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = checked(SAMPLE.lines().nth(line).unwrap_or_default());
        let at = at % bytes.len();
        bytes[at] = byte;
        read(&bytes);
    }
}
