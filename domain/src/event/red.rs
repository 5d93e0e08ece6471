//! Class RED in free text: Aadhaar numbers, PANs and Indian phone numbers.
//!
//! Numbers are looked for as people write them, in groups of digits that spaces or hyphens part, in any Indian script.

use super::display_name::is_display_name;
use crate::json::Json;

/// Whether free text looks as if it held an Aadhaar number, a PAN or an Indian phone number.
pub(crate) fn in_text(text: &str) -> bool {
    // A PAN has four digits, everything else more; most text has fewer.
    let digits = if text.is_ascii() {
        text.bytes().filter(u8::is_ascii_digit).count()
    } else {
        text.chars().filter(|character| digit(*character).is_some()).count()
    };
    digits >= 4 && (has_pan(text) || has_number(text))
}

/// Whether anything in a rejected event looks like class RED, names of members included. Used where an event is
/// about to be kept, so it errs on the side of saying yes.
pub(crate) fn in_event(event: &Json<'_>) -> bool {
    match event {
        Json::String(text) => in_text(text),
        Json::Integer(number) => in_text(&number.to_string()),
        Json::Array(items) => items.iter().any(in_event),
        Json::Object(members) => members.iter().any(|(name, value)| {
            let suspect = match value {
                Json::String(text) => names_red(name) || (name == "display_name" && !is_display_name(text)),
                Json::Null | Json::Bool(_) => false,
                // An object called `address` is identity's; its members are looked at for themselves.
                _ => names_red(name) && name != "address",
            };
            suspect || in_text(name) || in_event(value)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether text that could not be read as an event may hold class RED. Its members and values are not known, so every
/// word counts as a name, and what cannot be searched as it stands (escapes, a display name, text that is no UTF-8)
/// counts as found.
pub(crate) fn in_unreadable(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    text.contains("\\u")
        || text.contains("display_name")
        || text.contains('\0')
        || text.split('"').any(names_red)
        || in_text(text)
}

/// Whether a member of this name is likely to hold class RED.
fn names_red(name: &str) -> bool {
    const WORDS: [&str; 21] = [
        "name",
        "fullname",
        "surname",
        "dob",
        "birth",
        "birthdate",
        "birthday",
        "photo",
        "photograph",
        "image",
        "picture",
        "selfie",
        "street",
        "address",
        "aadhaar",
        "aadhar",
        "uid",
        "pan",
        "phone",
        "mobile",
        "email",
    ];
    let known = matches!(name, "display_name" | "scheme_name");
    !known
        && name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| WORDS.iter().any(|red| word.eq_ignore_ascii_case(red)))
}

/// A decimal digit in Latin, full-width or an Indian script.
fn digit(character: char) -> Option<u8> {
    let code = character as u32;
    match code {
        0x30..=0x39 => Some((code - 0x30) as u8),
        // Devanagari to Malayalam: blocks of 128 that all have their digits at 0x66.
        0x0966..=0x0d6f if (0x66..=0x6f).contains(&(code & 0x7f)) => Some((code & 0x7f) as u8 - 0x66),
        0xff10..=0xff19 => Some((code - 0xff10) as u8),
        _ => None,
    }
}

/// A permanent account number: `^[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]$` in either case, standing alone.
fn has_pan(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| {
        let Ok(word) = <[u8; 10]>::try_from(word.as_bytes()) else { return false };
        let letters = [0, 1, 2, 4, 9].iter().all(|&i| word[i].is_ascii_alphabetic());
        // The fourth letter says what sort of holder it is.
        letters && b"ABCFGHJLPT".contains(&word[3].to_ascii_uppercase()) && word[5..9].iter().all(u8::is_ascii_digit)
    })
}

/// Whether some whole groups of digits, taken together, are an Aadhaar or a phone number.
fn has_number(text: &str) -> bool {
    let mut groups: Vec<Vec<u8>> = Vec::new();
    let mut group = Vec::new();
    for character in text.chars() {
        if let Some(digit) = digit(character) {
            group.push(digit);
            continue;
        }
        if !group.is_empty() {
            groups.push(std::mem::take(&mut group));
        }
        if !is_separator(character) && !groups.is_empty() {
            if run_is_red(&groups) {
                return true;
            }
            groups.clear();
        }
    }
    groups.push(group);
    run_is_red(&groups)
}

fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200d}' | '\u{2212}')
}

fn run_is_red(groups: &[Vec<u8>]) -> bool {
    (0..groups.len()).any(|start| {
        let mut digits: Vec<u8> = Vec::with_capacity(16);
        for (count, group) in groups[start..].iter().enumerate() {
            digits.extend_from_slice(group);
            if digits.len() > 13 {
                return false;
            }
            // A date and an amount side by side have ten digits too: no phone number is written so.
            let shaped = count == 0 || groups[start..=start + count].iter().all(|group| group.len() > 2);
            if is_aadhaar(&digits) || (shaped && is_phone(&digits)) {
                return true;
            }
        }
        false
    })
}

/// Twelve digits, the first from 2, the last a Verhoeff check digit.
fn is_aadhaar(digits: &[u8]) -> bool {
    digits.len() == 12 && digits[0] >= 2 && verhoeff_holds(digits)
}

/// Ten digits from 6, with or without a leading 0 or the country's 91.
fn is_phone(digits: &[u8]) -> bool {
    matches!(digits, [6..=9, rest @ ..] | [0, 6..=9, rest @ ..] | [9, 1, 6..=9, rest @ ..] if rest.len() == 9)
}

/// J. Verhoeff, *Error Detecting Decimal Codes* (1969): a check in the dihedral group of order ten.
fn verhoeff_holds(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (position, digit)| {
        // The permutation has order eight.
        let permuted = (0..position % 8).fold(*digit, |digit, _| PERMUTATION[usize::from(digit)]);
        dihedral_product(check, permuted)
    });
    check == 0
}

/// The product in D5: 0–4 are rotations, 5–9 reflections.
fn dihedral_product(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b) % 5 + 5,
        (false, true) => (a - b + 5) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_they_are_written() {
        assert!(verhoeff_holds(&[2, 3, 6, 3]), "the textbook example");
        for red in [
            "234123412346",
            "Aadhaar 2341 2341 2346.",
            "2341-2341-2346",
            "2341 – 2341  2346 and more",
            "२३४१ २३४१ २३४६",
            "in 2026 234123412346",
            "234123412346 2026",
            "pan ABCPE1234F",
            "abcpe1234f",
            "pan_is:ABCPE1234F/",
            "call 98765 43210",
            "9876543210",
            "+91-9876543210",
            "+91 98765 43210",
            "09876543210",
            "919876543210",
        ] {
            assert!(in_text(red), "{red}");
        }
    }

    #[test]
    fn other_text_is_left_alone() {
        for plain in [
            "",
            "ITR filing deadline",
            "234123412347",
            "2341234123461",
            "1700000000",
            "Rs 6000 2026-07-31",
            "2026-01-15 1234",
            "ABCDE1234F",
            "ABCPE12345",
            "XABCPE1234F",
            "2026-2027 return, section 80C",
            "form 16 of 2025, 10 pages, 5000 rupees",
            "5876543210",
        ] {
            assert!(!in_text(plain), "{plain}");
        }
    }

    #[test]
    fn text_that_is_no_event_is_searched_by_words() {
        for text in [
            &br#"{"full_name":"Raj"#[..],
            br#"{"a":1,"dob":"1980"#,
            br#"{"identity":{"display_name":"Rajesh Kumar"#,
            br#"{"\u0066ull":"x"#,
            br#"{"a":"2341 2341 2346"#,
            b"{\"a\":\"\xff",
            b"{\0\"\0a\0",
        ] {
            assert!(in_unreadable(text), "{}", String::from_utf8_lossy(text));
        }
        assert!(!in_unreadable(br#"{"id":"evt-1","scheme_name":"PM Kisan","data":{"amount":6000"#));
    }

    #[test]
    fn an_event_is_searched_in_values_names_and_numbers() {
        let red = |text: &str| in_event(&crate::json::parse(text.as_bytes(), 64).expect("JSON"));
        for text in [
            r#"{"a":[{"b":"2341 2341 2346"}]}"#,
            r#"{"a":234123412346}"#,
            r#"{"2341 2341 2346":1}"#,
            r#"{"full_name":"Rajesh"}"#,
            r#"{"display_name":"Rajesh Kumar"}"#,
            r#"{"dob":19800101}"#,
            r#"{"address":"12 MG Road"}"#,
        ] {
            assert!(red(text), "{text}");
        }
        for text in
            [r#"{"display_name":"Rajesh K.","scheme_name":"PM","address":{"state":"kerala"}}"#, "[6000,0.5,null]"]
        {
            assert!(!red(text), "{text}");
        }
    }
}
