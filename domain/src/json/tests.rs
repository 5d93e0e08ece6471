use super::*;
use crate::canonical::CanonicalJson;

fn canonical(text: &str) -> String {
    let mut out = String::new();
    parse(text.as_bytes(), 64).expect(text).write_canonical(&mut out);
    out
}

#[track_caller]
fn refused(text: &[u8], problem: JsonProblem, pointer: Option<&str>) {
    let error = parse(text, 64).expect_err("the text is refused");
    assert_eq!((error.problem, error.pointer.as_deref()), (problem, pointer));
}

#[test]
fn what_is_read_is_written_in_canonical_form() {
    let text = r#" {"b":[1.0,-0,2e2,0.5,null],"a":{"é":true,"\ud83d\ude00":1,"\ufb33":"\u0001\n"}} "#;
    let expected = concat!(r#"{"a":{"é":true,"😀":1,""#, "\u{fb33}", r#"":"\u0001\n"},"b":[1,0,200,0.5,null]}"#);
    assert_eq!(canonical(text), expected);
}

#[test]
fn strings_borrow_from_the_text() {
    let value = parse(br#"{"plain":"text","esc\u0061ped":"a\tb"}"#, 64).expect("JSON");
    let [(plain, Json::String(text)), (escaped, Json::String(tab))] = value.as_object().expect("an object") else {
        panic!("two strings");
    };
    assert!(matches!((plain, text), (Cow::Borrowed("plain"), Cow::Borrowed("text"))));
    assert_eq!((escaped.as_ref(), tab.as_ref()), ("escaped", "a\tb"));
}

#[test]
fn text_that_is_not_json_is_refused_with_its_position() {
    refused(b"", JsonProblem::Malformed { line: 1, column: 0 }, None);
    refused(br#"{"a":}"#, JsonProblem::Malformed { line: 1, column: 6 }, None);
    refused(b"{\"a\":1}\n x", JsonProblem::Malformed { line: 2, column: 2 }, None);
    refused(br#"["\ud800"]"#, JsonProblem::Malformed { line: 1, column: 9 }, None);
    refused(b"[NaN]", JsonProblem::Malformed { line: 1, column: 2 }, None);
    refused(b"[\"\xff\"]", JsonProblem::InvalidUtf8 { offset: 2 }, None);
}

#[test]
fn a_member_given_twice_is_refused_in_small_and_large_objects() {
    refused(br#"{"a":[{"b/c":1,"b/c":1}]}"#, JsonProblem::DuplicateMember, Some("/a/0/b~1c"));
    refused(br#"{"a":1,"\u0061":2}"#, JsonProblem::DuplicateMember, Some("/a"));
    let members = |count: usize| (0..count).map(|i| format!(r#""m{i}":0,"#)).collect::<String>();
    for count in [15, 16, 17, 1000] {
        let text = format!(r#"{{"x":{{{}"m7":1}}}}"#, members(count));
        refused(text.as_bytes(), JsonProblem::DuplicateMember, Some("/x/m7"));
        assert!(parse(text.replace("m7\":1", "m\":1").as_bytes(), 64).is_ok());
    }
}

#[test]
fn depth_64_is_read_and_65_is_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(64).as_bytes(), 64).is_ok());
    refused(nested(65).as_bytes(), JsonProblem::TooDeep { limit: 64 }, Some(&"/0".repeat(64)));
    let error = parse(nested(1_000_000).as_bytes(), usize::MAX).expect_err("the stack is bounded whatever the limit");
    assert!(matches!(error.problem, JsonProblem::TooDeep { .. }));
}

#[test]
fn numbers_beyond_2_to_the_53_are_refused_however_they_are_written() {
    for good in ["9007199254740992", "-9007199254740992", "9007199254740991.0", "5.0", "1e15", "1e-400"] {
        assert!(parse(good.as_bytes(), 64).is_ok(), "{good}");
    }
    for bad in [
        "9007199254740993",
        "-9007199254740993",
        "9007199254740993.0",
        "1e16",
        "18446744073709551615",
        "99999999999999999999999",
        "-99999999999999999999999",
        "1e999",
        "-1e999",
    ] {
        refused(format!(r#"{{"a":[0,{bad}]}}"#).as_bytes(), JsonProblem::NumberTooLarge, Some("/a/1"));
    }
}

#[test]
fn text_that_is_not_json_is_reported_as_such_even_after_another_fault() {
    for text in [r#"{"a":1,"a":2,"b":x}"#, r#"{"a":1e999,"b":x1}"#, &("[".repeat(70) + "x")] {
        let error = parse(text.as_bytes(), 64).expect_err("it is not JSON");
        assert!(matches!(error.problem, JsonProblem::Malformed { .. }), "{text}: {error}");
        assert_eq!(error.pointer, None);
    }
}

#[test]
fn a_canonical_value_reads_as_it_was() {
    let value = CanonicalJson::from_canonical(r#"{"confidence":0.95,"scheme_id":"sch_a"}"#);
    let json = parse_canonical(&value);
    assert_eq!(json.get("confidence").and_then(Json::as_f64), Some(0.95));
    assert_eq!(json.get("scheme_id").and_then(Json::as_str), Some("sch_a"));
}
