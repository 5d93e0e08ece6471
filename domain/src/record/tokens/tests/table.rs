//! The tables that stored bytes refer to: nothing in them is ever changed, moved or removed.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::super::phrases::{COUNT, MAX_SPAN, PHRASES};
use super::super::shapes::{MAX_PIECES, SHAPES};
use super::*;

/// The phrases of the first table, and the beginning of their hash. Phrases that are added get a line of their own.
const CUTS: [(usize, u64); 1] = [(1969, 2_562_519_060_436_394_318)];

/// The same of the shapes.
const SHAPE_CUTS: [(usize, u64); 1] = [(24, 17_416_259_258_878_545_838)];

fn fingerprint(texts: impl Iterator<Item = &'static str>) -> u64 {
    let mut hash = Sha256::new();
    texts.for_each(|text| hash.update(format!("{text}\n")));
    u64::from_be_bytes(hash.finalize()[..8].try_into().expect("a hash has 32 bytes"))
}

#[test]
fn no_phrase_that_bytes_may_name_was_changed() {
    for (count, expected) in CUTS {
        assert_eq!(fingerprint(PHRASES[..count].iter().copied()), expected, "of the first {count} phrases");
    }
    assert!(CUTS[CUTS.len() - 1].0 == COUNT, "add ({COUNT}, {}) to CUTS", fingerprint(PHRASES.iter().copied()));
}

#[test]
fn no_shape_that_bytes_may_name_was_changed() {
    let of = |count: usize| fingerprint(SHAPES[..count].iter().flat_map(|shape| shape.pieces).copied());
    for (count, expected) in SHAPE_CUTS {
        assert_eq!(of(count), expected, "of the first {count} shapes");
    }
    assert!(
        SHAPE_CUTS[SHAPE_CUTS.len() - 1].0 == SHAPES.len(),
        "add ({}, {}) to SHAPE_CUTS",
        SHAPES.len(),
        of(SHAPES.len())
    );
}

#[test]
fn every_phrase_has_its_own_code_and_holds_no_escape() {
    let mut seen = HashSet::new();
    for phrase in PHRASES {
        assert!(seen.insert(phrase), "{phrase} stands twice");
        assert!(!phrase.contains('\\') && !phrase.contains(char::is_control), "{phrase}");
        let value = match phrase.as_bytes() {
            [b'[', .., b']'] => phrase.to_owned(),
            _ if phrase.matches('"').count() == 2 => phrase.to_owned(),
            _ => {
                format!(r#"{{"application_status":"active","confidence":0.5,"matched_rules":[],"scheme_id":{phrase}}}"#)
            }
        };
        serde_json::from_str::<serde_json::Value>(&value).unwrap_or_else(|error| panic!("{phrase}: {error}"));
        let around = if value == phrase { 0 } else { 5 };
        assert!(checked(&value).len() <= 2 + around, "{phrase}");
        assert!(phrase.len() <= MAX_SPAN, "{phrase}");
    }
}

#[test]
fn shapes_have_their_members_in_canonical_order_and_codes_of_their_own() {
    let mut seen = HashSet::new();
    for shape in &SHAPES {
        assert!(shape.pieces.len() <= MAX_PIECES);
        assert!(seen.insert(shape.pieces), "{:?} stands twice", shape.pieces);
        let names: Vec<&str> = shape.pieces.iter().map(|piece| &piece[2..piece.len() - 2]).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        let values = shape.pieces.iter().map(|piece| format!("{piece}null")).collect::<String>() + "}";
        let bytes = checked(&values);
        assert_eq!(bytes.len(), 1 + shape.pieces.len(), "{values}");
        assert!(std::ptr::eq(SHAPES[usize::from(bytes[0] - super::super::codes::SHAPE)].pieces, shape.pieces));
    }
}
