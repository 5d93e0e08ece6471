//! Validation answers every input, and accepts again what it has accepted.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::json::Json;

/// Posts to the source that the text names, or else to any.
fn post_anywhere(text: &[u8]) -> Result<FeedEvent, Rejection> {
    let event = crate::json::parse(text, 64).ok();
    let name = event.as_ref().and_then(|event| event.get("source")?.as_str()?.rsplit('/').next());
    validate(text, name.and_then(Source::parse).unwrap_or(Source::Trust), &rules(), NOW)
}

/// Asserts that an accepted event in canonical form, with its members in another order, gives the same writes.
fn assert_stable(text: &[u8]) {
    let Ok(accepted) = post_anywhere(text) else { return };
    let mut canonical = String::new();
    crate::json::parse(text, 64).expect("it was accepted").write_canonical(&mut canonical);
    let again = post_anywhere(canonical.as_bytes()).expect("it was accepted before");
    let sorted = |event: &FeedEvent| {
        let mut writes = event.writes.clone();
        writes.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        writes
    };
    assert_eq!(sorted(&accepted), sorted(&again));
    assert_eq!((accepted.time, accepted.id), (again.time, again.id));
    let paths: std::collections::BTreeSet<_> = accepted.writes.iter().map(|write| (&write.path, write.kind)).collect();
    assert_eq!(paths.len(), accepted.writes.len(), "a path and kind occurs at most once");
    for value in accepted.writes.iter().filter_map(|write| write.value.as_ref()) {
        let mut again = String::new();
        crate::json::parse_canonical(value).write_canonical(&mut again);
        assert_eq!(again, value.as_str(), "a written value is canonical");
    }
}

/// Values that are wrong, or right, somewhere.
fn odd_value() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(5.0),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("e\u{301}"),
        json!("2341 2341 2346"),
        json!("karnataka"),
        json!("2026-01-15"),
        json!("2026-01-15T00:00:00Z"),
        json!("x".repeat(2000)),
        json!([]),
        json!(["pan", "pan"]),
        json!({}),
        json!({"a": {"b": []}}),
    ])
}

/// Appends the position of every part of a value, as a JSON Pointer.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), out));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = post_anywhere(&bytes);
        let _ = crate::json::ArraySplitter::new(9).finish(&bytes);
    }

    #[test]
    fn any_string_is_answered_wherever_it_stands(text in any::<String>(), place: Index, line: Index) {
        let mut event: Value = serde_json::from_str(EXAMPLES.lines().nth(line.index(13)).expect("a line")).expect("JSON");
        let mut pointers = Vec::new();
        places(&event, "", &mut pointers);
        *event.pointer_mut(&pointers[place.index(pointers.len())]).expect("a place") = json!(text);
        assert_stable(event.to_string().as_bytes());
    }

    #[test]
    fn examples_with_odd_values_are_answered(
        line: Index,
        changes in prop::collection::vec((any::<Index>(), odd_value()), 1..4),
    ) {
        let mut event: Value = serde_json::from_str(EXAMPLES.lines().nth(line.index(13)).expect("a line")).expect("JSON");
        for (place, value) in changes {
            let mut pointers = Vec::new();
            places(&event, "", &mut pointers);
            // Not the whole: an odd value alone is not an event.
            *event.pointer_mut(&pointers[place.index(pointers.len())]).expect("a place") = value;
        }
        assert_stable(event.to_string().as_bytes());
    }

    #[test]
    fn examples_with_odd_bytes_are_answered(
        line: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut text = EXAMPLES.lines().nth(line.index(13)).expect("a line").as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        assert_stable(&text);
    }
}

#[test]
fn every_example_stands_the_test_unchanged() {
    for line in EXAMPLES.lines() {
        assert!(post_anywhere(line.as_bytes()).is_ok());
        assert_stable(line.as_bytes());
        assert!(matches!(crate::json::parse(line.as_bytes(), 64), Ok(Json::Object(_))));
    }
}
