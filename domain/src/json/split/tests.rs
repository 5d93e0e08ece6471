use proptest::prelude::*;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::*;

/// Splits `text` as it would be if it arrived `piece` bytes at a time.
fn split(text: &[u8], piece: usize, limit: usize) -> Result<Vec<&[u8]>, SplitError> {
    let mut splitter = ArraySplitter::new(limit);
    for end in (0..text.len()).step_by(piece) {
        splitter.advance(&text[..end])?;
    }
    Ok(splitter.finish(text)?.into_iter().map(|item| &text[item]).collect())
}

fn malformed(line: usize, column: usize) -> JsonProblem {
    JsonProblem::Malformed { line, column }
}

#[test]
fn items_are_found_however_the_text_arrives() {
    let text = " [ 1,-0.5e+3 ,\"a,]\\\"\\u00e9é\" ,\n[[],{}] , {\"b\":[null,{\"c\":false}],\"d\" : \"}\"},true ] \n";
    let expected =
        ["1", "-0.5e+3", "\"a,]\\\"\\u00e9é\"", "[[],{}]", "{\"b\":[null,{\"c\":false}],\"d\" : \"}\"}", "true"];
    for piece in 1..=text.len() {
        let items = split(text.as_bytes(), piece, 6).expect("an array");
        assert_eq!(items, expected.map(str::as_bytes), "pieces of {piece}");
    }
    assert_eq!(split(b"[]", 1, 0), Ok(vec![]));
}

#[test]
fn scanning_stops_at_the_first_item_too_many() {
    let mut splitter = ArraySplitter::new(3);
    assert_eq!(splitter.advance(b"[1,[2,2,2,2],3,"), Ok(()));
    assert_eq!(splitter.advance(b"[1,[2,2,2,2],3, 4 and whatever"), Err(SplitError::TooManyItems { limit: 3 }));
    assert_eq!(splitter.at, 16, "nothing behind it is read");
    let many = format!("[{}", "1,".repeat(1 << 20));
    let mut splitter = ArraySplitter::new(1_000);
    assert!(splitter.advance(many.as_bytes()).is_err());
    assert!(splitter.items.capacity() <= 2_000 && splitter.at <= 2_001, "memory and work follow the limit");
}

#[test]
fn deep_nesting_costs_a_bit_for_each_level() {
    let depth = 1 << 20;
    let text = format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
    let mut splitter = ArraySplitter::new(1);
    splitter.advance(text.as_bytes()).expect("an array");
    assert!(splitter.nesting.bits.capacity() * 64 <= 4 * depth);
    assert_eq!(splitter.finish(text.as_bytes()).map(|items| items.len()), Ok(1));
}

#[test]
fn text_that_is_not_an_array_is_refused_with_its_position() {
    for (text, problem) in [
        (&b""[..], malformed(1, 0)),
        (b"[1,", malformed(1, 3)),
        (b"[1] 2", malformed(1, 5)),
        (b"[1,\n2,,3]", malformed(2, 3)),
        (b"[1}", malformed(1, 3)),
        (b"[{\"a\":1]", malformed(1, 8)),
        (b"[{1:1}]", malformed(1, 3)),
        (b"[01]", malformed(1, 3)),
        (b"[1.]", malformed(1, 4)),
        (b"[NaN]", malformed(1, 2)),
        (b"[nul]", malformed(1, 5)),
        (b"[\"\n\"]", malformed(1, 2)),
        (b"[\"\\x\"]", malformed(1, 4)),
        (b"\xef\xbb\xbf[]", malformed(1, 1)),
        (b"[\"\xff\"]", JsonProblem::InvalidUtf8 { offset: 2 }),
        (b"[\"\xc3", JsonProblem::InvalidUtf8 { offset: 2 }),
        (b"[1,,\xff]", malformed(1, 4)),
        (b" {\xff", JsonProblem::NotAnArray),
        (b" {}", JsonProblem::NotAnArray),
        (b"7", JsonProblem::NotAnArray),
    ] {
        for piece in [1, 2, 3, 100] {
            let error = split(text, piece, 9).expect_err("it is refused");
            assert_eq!(error, unreadable(problem), "{:?} by {piece}", String::from_utf8_lossy(text));
        }
    }
}

/// Returns a strategy for bytes that are often nearly an array.
fn nearly_array() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&str; 34] = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"a\":",
        "1",
        "0",
        "-",
        ".",
        "e",
        "E5",
        "+",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\n",
        "\t",
        "\\",
        "\\n",
        "\\\"",
        "\\u00e9",
        "é",
        "\u{1}",
        "[]",
        "{}",
        "[1,2]",
        "-0.5e-7",
        "{\"a\":[1,{\"b\":null}]}",
    ];
    let parts = prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24);
    (any::<bool>(), parts).prop_map(|(wrapped, parts)| {
        let text = parts.concat();
        if wrapped { format!("[{text}]") } else { text }.into_bytes()
    })
}

/// Returns a strategy for arrays as `serde_json` writes them, with white space in them.
fn array() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    (prop::collection::vec(value, 0..8), any::<bool>()).prop_map(|(items, pretty)| {
        let write = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
        write(&items).expect("values can be written")
    })
}

/// Compares the splitter with `serde_json`, which reads the whole text at once.
fn assert_agrees(text: &[u8], piece: usize) {
    let found = split(text, piece, usize::MAX);
    let Ok(utf8) = std::str::from_utf8(text) else {
        assert!(found.is_err());
        return;
    };
    match (serde_json::from_str::<Vec<&RawValue>>(utf8), found) {
        (Ok(expected), Ok(found)) => {
            let expected: Vec<_> = expected.into_iter().map(|item| item.get().as_bytes()).collect();
            assert_eq!(found, expected);
        }
        (Err(error), Err(SplitError::Read(found))) => {
            // `serde_json` is less exact about faulty hexadecimal escapes and text that does not begin with an array.
            if error.classify() != Category::Data && found.problem != JsonProblem::NotAnArray && !utf8.contains("\\u") {
                assert_eq!(found.problem, malformed(error.line(), error.column()), "{utf8:?}");
            }
        }
        (expected, found) => panic!("{utf8:?}: {expected:?}, but {found:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_an_array_is_judged_as_serde_json_does(text in nearly_array(), piece in 1_usize..40) {
        assert_agrees(&text, piece);
    }

    #[test]
    fn arrays_are_split_as_serde_json_does(text in array(), piece in 1_usize..200) {
        assert_agrees(&text, piece);
    }

    #[test]
    fn damaged_arrays_are_judged_as_serde_json_does(
        text in array(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        piece in 1_usize..200,
    ) {
        let mut text = text;
        for (place, byte) in damage {
            let place = place.index(text.len());
            text[place] = byte;
        }
        assert_agrees(&text, piece);
    }
}
