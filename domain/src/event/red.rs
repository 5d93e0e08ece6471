//! Class RED in events: numbers of persons, as `sensitive` finds them, full names, and what members' names give away.

use super::display_name::is_display_name;
use crate::json::Json;
use crate::sensitive::in_text;

/// Returns whether anything in a rejected event looks like class RED, names of members included. It is used before an
/// event is stored, so a false positive is better than a miss.
pub(crate) fn in_event(event: &Json<'_>) -> bool {
    match event {
        Json::String(text) => in_text(text),
        Json::Integer(number) => in_text(&number.to_string()),
        Json::Array(items) => items.iter().any(in_event),
        Json::Object(members) => members.iter().any(|(name, value)| {
            let suspect = match value {
                Json::String(text) => names_red(name) || (name == "display_name" && !is_display_name(text)),
                Json::Null | Json::Bool(_) => false,
                // An object called `address` is identity's; its members are searched one by one.
                _ => names_red(name) && name != "address",
            };
            suspect || in_text(name) || in_event(value)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Returns whether text that could not be read as an event may hold class RED. Its members and values are not known, so
/// every word counts as a name, and what cannot be searched as it stands (escapes, a display name, text that is not
/// UTF-8) counts as found.
pub(crate) fn may_hold_red(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return true };
    text.contains("\\u")
        || text.contains("display_name")
        || text.contains('\0')
        || text.split('"').any(names_red)
        || in_text(text)
}

/// Returns whether a member of this name is likely to hold class RED.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_an_event_is_searched_by_words() {
        for text in [
            &br#"{"full_name":"Raj"#[..],
            br#"{"a":1,"dob":"1980"#,
            br#"{"identity":{"display_name":"Rajesh Kumar"#,
            br#"{"\u0066ull":"x"#,
            br#"{"a":"2341 2341 2346"#,
            br#"{"a":"2341%202341%202346"#,
            br#"{"a":"/call?n=%39876543210"#,
            b"{\"a\":\"\xff",
            b"{\0\"\0a\0",
        ] {
            assert!(may_hold_red(text), "{}", String::from_utf8_lossy(text));
        }
        assert!(!may_hold_red(br#"{"id":"evt-1","scheme_name":"PM Kisan","data":{"amount":6000"#));
    }

    #[test]
    fn an_event_is_searched_in_values_names_and_numbers() {
        let red = |text: &str| in_event(&crate::json::parse(text.as_bytes(), 64).expect("JSON"));
        for text in [
            r#"{"a":[{"b":"2341 2341 2346"}]}"#,
            r#"{"a":234123412346}"#,
            r#"{"a":"2341%202341%202346"}"#,
            r#"{"a":"/call?n=%39876543210"}"#,
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
