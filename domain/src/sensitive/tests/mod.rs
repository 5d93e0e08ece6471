//! Tables of texts in which something or nothing is found, tests that the work is linear, and comparisons with the
//! tables of Unicode.

mod linear;
mod numbers;
mod unicode;

use super::*;

/// Returns the kind and the text of everything that is found.
fn found(text: &str) -> Vec<(SensitiveKind, &str)> {
    find(text).into_iter().map(|span| (span.kind, &text[span.range])).collect()
}

#[test]
fn each_pattern_covers_what_it_names_and_no_more() {
    for (text, kind, covered) in [
        ("2341 2341 2346 of", SensitiveKind::Aadhaar, "2341 2341 2346"),
        ("234123412346,", SensitiveKind::Aadhaar, "234123412346"),
        ("it is ABCPE1234F.", SensitiveKind::Pan, "ABCPE1234F"),
        ("29ABCPE1234F1Z5", SensitiveKind::Gstin, "29ABCPE1234F1Z5"),
        ("ABC1234567", SensitiveKind::VoterId, "ABC1234567"),
        ("M1234567", SensitiveKind::Passport, "M1234567"),
        ("call +91 98765 43210", SensitiveKind::Phone, "+91 98765 43210"),
        ("9876543210", SensitiveKind::Phone, "9876543210"),
        ("<a.b+c@example.co.in.>", SensitiveKind::Email, "a.b+c@example.co.in"),
        ("राम@उदाहरण.भारत", SensitiveKind::Email, "राम@उदाहरण.भारत"),
        (
            "x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln rest",
            SensitiveKind::Jwt,
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        ),
        ("Bearer eyJhbGciOiJub25lIn0.eyJ4IjoxfQ.", SensitiveKind::Jwt, "eyJhbGciOiJub25lIn0.eyJ4IjoxfQ."),
        (
            "k=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= x",
            SensitiveKind::Key,
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        ),
        ("a usr_7Qm2Xr9TzKpA/x", SensitiveKind::UserId, "usr_7Qm2Xr9TzKpA"),
    ] {
        let found = found(text);
        assert!(found.contains(&(kind, covered)), "{text}: {found:?}");
    }
    let hex = "0a".repeat(32);
    assert_eq!(found(&hex)[0], (SensitiveKind::Key, hex.as_str()));
    let pem = "-----BEGIN PRIVATE KEY-----\\nMC4CAQ\\n-----END PRIVATE KEY-----";
    assert!(found(&format!("key {pem}")).contains(&(SensitiveKind::Key, pem)));
    let cut = "-----BEGIN PRIVATE KEY-----\\nMC4CAQ";
    assert_eq!(found(cut), [(SensitiveKind::Key, cut)], "a block that is cut off is a key all the same");
}

#[test]
fn what_looks_a_little_alike_is_left_alone() {
    for text in [
        "",
        "234123412345",
        "2026-11-22T00:06:12.123456Z",
        "1767225600",
        "65536",
        "ABCPE1234FX",
        "127.0.0.1:8080",
        "00123456789012 took 12ms",
        "eyJhbGci and more",
        "a@b",
        "@example.in",
        "usr_short",
        "0a0b0c0d",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn what_text_must_not_hold_stands_in_what_logs_hide() {
    for text in numbers::REFUSED {
        let hidden = find(text);
        assert!(hidden.iter().any(|span| span.kind.is_refused_in_text()), "{text}: {hidden:?}");
    }
}
