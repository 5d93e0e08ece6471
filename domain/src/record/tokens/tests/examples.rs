//! Values with the bytes that they are coded as: stored bytes must be read alike for ever.

use super::*;

#[test]
fn each_code_has_the_bytes_that_are_documented() {
    for (value, expected) in [
        ("\"active\"", "00"),
        ("null", "b4"),
        ("false", "b5"),
        ("true", "b6"),
        ("0", "90"),
        ("31", "af"),
        ("32", "b0 00"),
        ("287", "b0 ff"),
        ("288", "b1 00 00"),
        ("65823", "b1 ff ff"),
        ("65824", "b2 65 82 4f"),
        ("-1", "b2 b1 ff"),
        ("1e+21", "b2 1d c2 1f"),
        ("0.01", "b3 01"),
        ("0.5", "b3 32"),
        ("0.99", "b3 63"),
        ("0.125", "b2 0a 12 5f"),
        ("\"\"", "b7 00"),
        ("\"é\\n\"", "b7 04 c3 a9 5c 6e"),
        ("\"a/z-0\"", "b8 05 31 06 e2 05"),
        ("\"tok_abc\"", "b9 03 2a 00"),
        ("\"2026-01-01\"", "ba 00"),
        ("\"verified_2025-12-31\"", "bb 01"),
        ("\"synced_2026-01-02\"", "bc 02"),
        ("\"computed_2026-03-06\"", "bd 80 01"),
        ("\"2026-01-01T00:00:01Z\"", "be 02"),
        ("\"2025-12-31T23:59:59.99Z\"", "bf 13"),
        ("\"2026-01-01T00:00:00.000001Z\"", "c0 02"),
        ("\"01234567-89ab-cdef-0123-456789abcdef\"", "c1 01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef"),
        ("\"dl_ration_2026\"", "c2 05 1a"),
        ("\"dl_ration_2026_07\"", "c2 05 9a 07"),
        ("\"560001\"", "c3 81 8b 08"),
        ("\"Rajesh K.\"", "c4 9b 0c 4b"),
        ("[]", "cc"),
        ("[1,[2]]", "ce 91 cd 92"),
        ("{}", "d8"),
        ("{\"active\":1}", "d9 00 91"),
        ("[1,1,1,1,1,1,1,1,1,1,1,1]", "c6 0c 00 00 00 91 91 91 91 91 91 91 91 91 91 91 91"),
        (
            "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0}",
            "c7 08 00 00 00 b8 01 00 90 b8 01 01 90 b8 01 02 90 b8 01 03 90 b8 01 04 90 b8 01 05 90 b8 01 06 90 b8 01 07 90",
        ),
        ("{\"confidence\":0.9,\"fields\":[]}", "f3 b3 5a cc"),
        ("not JSON", "c5 08 6e 6f 74 20 4a 53 4f 4e"),
    ] {
        assert_eq!(hex(&checked(value)), expected, "{value}");
    }
}

#[test]
fn bare_texts_have_the_bytes_that_are_documented() {
    for (value, expected) in [
        ("active", "00"),
        ("idn-3-110", "90 03 6e"),
        ("con-1000000-0", "99 c0 84 3d 00"),
        ("dl_ration_2026", "c2 05 1a"),
        ("", "b7 00"),
        ("A \"b\"", "b7 05 41 20 22 62 22"),
        ("01234567-89ab-cdef-0123-456789abcdef", "c1 01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef"),
    ] {
        assert_eq!(hex(&checked_text(value)), expected, "{value}");
    }
}

#[test]
fn texts_that_almost_have_a_short_code_come_back_unchanged() {
    for text in [
        "00",
        "01",
        "007",
        "-0",
        "0.0",
        "0.10",
        "0.00",
        "0.100",
        "1.0",
        "99999",
        "100000",
        "9007199254740992",
        "1e-7",
        "-12.5",
        "+1",
        "1e",
        "tru",
        "nul",
        "falsey",
        "\"",
        "\"a",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{1:2}",
        "[1 ]",
        " 1",
        "1 ",
        "",
        "\"\\",
        "\"\\\"",
        "\"\\\\\"",
        "\"\\\\\\\"\"",
        "[\"active\",]",
        "{\"action\":1,\"priority\":2}",
        "{\"action\":1,\"priority\":2,\"reason\":3,\"scheme_id\":4,\"x\":5}",
        "{\"application_status\":1,\"confidence\":2,\"matched_rules\":[[]],\"scheme_id\":\"sch_apy\"}",
        "{\"confidence\":{\"confidence\":{\"confidence\":1,\"fields\":2},\"fields\":2},\"fields\":3}",
    ] {
        checked(text);
    }
    for text in [
        "2026-02-29",
        "2024-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "2026-04-31",
        "0000-01-01",
        "9999-12-31",
        "1900-02-29",
        "2000-02-29",
        "2026-1-011",
        "verified_2026-02-30",
        "Verified_2026-01-01",
        "synced_2026-01-1",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:59:60Z",
        "2026-01-01T00:00:00.10Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567Z",
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00.12z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "012345",
        "12345",
        "1234567",
        "01234567-89AB-cdef-0123-456789abcdef",
        "tok_",
        "tok_A",
        "dl_ration_1999",
        "dl_ration_2100",
        "dl_ration_2026_00",
        "dl_ration_2026_13",
        "dl_ration_20a6",
        "nobody_2026",
        "idn-",
        "idn-1",
        "idn-01-1",
        "idn-1-1-1",
        "idn-1-",
        "idn--1",
        "xxx-1-1",
        "idn-1-9999999999999999",
        "Zzyzx K.",
        "Rahul k.",
        "Rahul K",
        " K.",
        "a b",
        "é",
        "\u{1f600}",
        "\\u001f",
    ] {
        checked_text(text);
        checked(&format!("\"{text}\""));
    }
}

/// The size of a state rests on this.
#[test]
fn values_of_the_population_take_a_tenth_of_their_text() {
    let (mut text, mut coded) = (0, 0);
    for value in SAMPLE.lines() {
        text += value.len();
        coded += checked(value).len();
    }
    assert!(text > 10_000, "{text} bytes of text");
    assert!(coded * 10 < text, "{coded} bytes for {text}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
