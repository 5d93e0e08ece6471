//! What personal data and secrets look like: each pattern says how many bytes at the start of a text it covers.

/// What was found. The name is the label `kind` of `profile_redactions_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Jwt,
    Key,
    Email,
    Gstin,
    Pan,
    VoterId,
    Passport,
    Aadhaar,
    Phone,
    UserId,
    Field,
}

impl Kind {
    pub(super) const ALL: [Self; 11] = [
        Self::Jwt,
        Self::Key,
        Self::Email,
        Self::Gstin,
        Self::Pan,
        Self::VoterId,
        Self::Passport,
        Self::Aadhaar,
        Self::Phone,
        Self::UserId,
        Self::Field,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Key => "key",
            Self::Email => "email",
            Self::Gstin => "gstin",
            Self::Pan => "pan",
            Self::VoterId => "voter_id",
            Self::Passport => "passport",
            Self::Aadhaar => "aadhaar",
            Self::Phone => "phone",
            Self::UserId => "user_id",
            Self::Field => "field",
        }
    }
}

/// Says how many bytes at the start of a text it covers.
type Pattern = fn(&str) -> Option<usize>;

/// The pattern that matches at the start of `text`, where a word begins, and its length in bytes.
pub(super) fn at_start_of_word(text: &str) -> Option<(Kind, usize)> {
    const PATTERNS: [(Kind, Pattern); 10] = [
        (Kind::Jwt, jwt),
        (Kind::Key, key),
        (Kind::UserId, user_id),
        (Kind::Email, email),
        (Kind::Gstin, |text| shape(text, "99AAAAA9999AXZX")),
        (Kind::Pan, |text| shape(text, "AAAAA9999A")),
        (Kind::VoterId, |text| shape(text, "AAA9999999")),
        (Kind::Passport, |text| shape(text, "A9999999")),
        (Kind::Aadhaar, aadhaar),
        (Kind::Phone, phone),
    ];
    PATTERNS.iter().find_map(|(kind, pattern)| pattern(text).map(|length| (*kind, length)))
}

/// `A` is a capital, `9` a digit, `X` either, anything else itself; the word must end there.
fn shape(text: &str, pattern: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'A' => byte.is_ascii_uppercase(),
        b'9' => byte.is_ascii_digit(),
        b'X' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        other => *byte == other,
    };
    let length = pattern.len();
    let ends = bytes.len() >= length && !bytes.get(length).is_some_and(u8::is_ascii_alphanumeric);
    (ends && bytes.iter().zip(pattern.bytes()).all(fits)).then_some(length)
}

/// How many bytes at the start satisfy `allowed`.
fn run(text: &str, allowed: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| allowed(*byte)).count()
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Three base64url parts, the first an object.
fn jwt(text: &str) -> Option<usize> {
    let head = text.starts_with("eyJ").then(|| run(text, is_base64url))?;
    let rest = text[head..].strip_prefix('.')?;
    let claims = run(rest, is_base64url);
    let rest = rest[claims..].strip_prefix('.')?;
    (claims > 0).then(|| head + claims + 2 + run(rest, is_base64url))
}

/// 32 bytes or more in hex, 32 bytes in base64, or a PEM block.
fn key(text: &str) -> Option<usize> {
    if text.starts_with("BEGIN ") {
        return text.find("-----END").map(|end| end + text[end..].len().min(64));
    }
    let hex = run(text, |byte| byte.is_ascii_hexdigit());
    let base64 = run(text, |byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    if hex >= 64 && hex == base64 {
        return Some(hex);
    }
    (base64 == 43 && text[43..].starts_with('=')).then_some(44)
}

fn user_id(text: &str) -> Option<usize> {
    let tail = run(text.strip_prefix("usr_")?, |byte| byte.is_ascii_alphanumeric());
    (12..=32).contains(&tail).then_some(4 + tail)
}

fn email(text: &str) -> Option<usize> {
    let local = run(text, |byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte));
    let host = text[local..].strip_prefix('@')?;
    let length = run(host, |byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let dot = host[..length].trim_end_matches(['.', '-']).rfind('.')?;
    let host = host[..length].trim_end_matches(['.', '-']);
    (local > 0 && dot > 0 && host.len() - dot > 2).then_some(local + 1 + host.len())
}

/// Twelve digits with any spacing whose last is the Verhoeff check digit of the others.
fn aadhaar(text: &str) -> Option<usize> {
    let (digits, length) = spaced_digits(text, 12)?;
    (digits[0] >= 2 && verhoeff_holds(&digits)).then_some(length)
}

/// An Indian mobile number, with or without its prefix.
fn phone(text: &str) -> Option<usize> {
    let mobile = |text: &str| spaced_digits(text, 10).filter(|(digits, _)| digits[0] >= 6).map(|(_, length)| length);
    let after = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        let number = rest.trim_start_matches([' ', '-']);
        Some(prefix.len() + (rest.len() - number.len()) + mobile(number)?)
    };
    ["+91", "0091", "91", "0"].into_iter().find_map(after).or_else(|| mobile(text))
}

/// Exactly `count` digits, with up to three spaces, dots or dashes between two of them, and no digit or
/// letter after; the digits and the bytes that they span.
fn spaced_digits(text: &str, count: usize) -> Option<(Vec<u8>, usize)> {
    let mut digits = Vec::with_capacity(count);
    let mut gap = 0;
    for (at, letter) in text.char_indices() {
        match letter.to_digit(10) {
            Some(digit) => {
                digits.push(digit as u8);
                gap = 0;
            }
            None if digits.is_empty() => return None,
            None => gap += 1,
        }
        if digits.len() == count {
            let end = at + letter.len_utf8();
            let closed = !text[end..].starts_with(|next: char| next.is_ascii_alphanumeric());
            return closed.then_some((digits, end));
        }
        if gap > 3 || (gap > 0 && !(letter.is_whitespace() || "-–.".contains(letter))) {
            return None;
        }
    }
    None
}

/// The check of Verhoeff (1969) over the dihedral group of order ten.
fn verhoeff_holds(digits: &[u8]) -> bool {
    let multiply = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u8, times: usize| (0..times % 8).fold(digit, |digit, _| PERMUTATION[usize::from(digit)]);
    digits.iter().rev().enumerate().fold(0, |check, (place, digit)| multiply(check, permuted(*digit, place))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(text: &str, kind: Kind, covered: &str) {
        assert_eq!(at_start_of_word(text), Some((kind, covered.len())), "{text}");
    }

    #[test]
    fn each_pattern_covers_what_it_names_and_no_more() {
        finds("2341 2341 2346 of", Kind::Aadhaar, "2341 2341 2346");
        finds("234123412346,", Kind::Aadhaar, "234123412346");
        finds("2341-2341-2346", Kind::Aadhaar, "2341-2341-2346");
        finds("ABCPE1234F.", Kind::Pan, "ABCPE1234F");
        finds("29ABCPE1234F1Z5", Kind::Gstin, "29ABCPE1234F1Z5");
        finds("ABC1234567", Kind::VoterId, "ABC1234567");
        finds("M1234567", Kind::Passport, "M1234567");
        finds("+91 98765 43210", Kind::Phone, "+91 98765 43210");
        finds("9876543210", Kind::Phone, "9876543210");
        finds("a.b+c@example.co.in.", Kind::Email, "a.b+c@example.co.in");
        finds("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln rest", Kind::Jwt, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln");
        finds(
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            Kind::Key,
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        );
        finds("usr_7Qm2Xr9TzKpA/x", Kind::UserId, "usr_7Qm2Xr9TzKpA");
    }

    #[test]
    fn numbers_that_are_none_of_these_are_left_alone() {
        for text in [
            "234123412345",
            "2026-11-22T00:06:12.123456Z",
            "1767225600",
            "12",
            "65536",
            "ABCPE1234FX",
            "127.0.0.1:8080",
        ] {
            assert_eq!(at_start_of_word(text), None, "{text}");
        }
    }

    #[test]
    fn the_check_digit_catches_every_single_error() {
        let good = [2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 6];
        assert!(verhoeff_holds(&good));
        for place in 0..12 {
            for digit in (0..10).filter(|digit| *digit != good[place]) {
                let mut wrong = good;
                wrong[place] = digit;
                assert!(!verhoeff_holds(&wrong));
            }
        }
    }
}
