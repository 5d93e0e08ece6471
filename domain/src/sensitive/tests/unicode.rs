//! The tables of characters agree with those of the crate regex-syntax, which are made from Unicode's own files.

use regex_syntax::hir::{Class, HirKind};

use super::super::{digits, glyph};

/// Returns the characters of a class, in ascending order.
fn characters(class: &str) -> Vec<char> {
    let hir = regex_syntax::parse(class).expect("a class");
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{class} is not a class of characters") };
    class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect()
}

#[test]
fn the_digits_are_those_of_the_category_nd() {
    let all = (0..0x11_0000).filter_map(char::from_u32);
    let ours: Vec<char> = all.filter(|c| digits::digit(*c).is_some()).collect();
    assert_eq!(ours, characters(r"\p{Nd}"));
    // Unicode gives the digits of a script ten places in a row, zero first.
    for ten in ours.chunks(10) {
        let values: Vec<u8> = ten.iter().filter_map(|c| digits::digit(*c)).collect();
        assert_eq!(values, (0..10).collect::<Vec<u8>>(), "{ten:?}");
    }
}

#[test]
fn format_characters_and_marks_are_invisible() {
    for c in characters(r"[\p{Cf}\p{M}]") {
        assert!(glyph::is_invisible(c), "U+{:04X}", c as u32);
    }
}

#[test]
fn spaces_and_dashes_part_groups() {
    for c in characters(r"\p{Zs}") {
        assert!(glyph::is_space(c), "U+{:04X}", c as u32);
    }
    for c in characters(r"[\p{Pd}\p{Pc}]").into_iter().filter(|c| !c.is_ascii()) {
        assert!(glyph::is_separator(c) || c as u32 >= 0xff00, "U+{:04X}", c as u32);
    }
}
