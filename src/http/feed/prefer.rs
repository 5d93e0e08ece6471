//! The header `Prefer` (RFC 7240).

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::http::request::headers::{elements, parts};

static PREFER: HeaderName = HeaderName::from_static("prefer");

/// Whether the client sends `return=representation`, so that applied events are reported too.
pub(super) fn prefers_representation(headers: &HeaderMap) -> bool {
    // Of several preferences with the same name the first counts.
    let mut preferences = elements(headers, &PREFER).filter_map(preference);
    let wanted = preferences.find(|(name, _)| name.eq_ignore_ascii_case(b"return"));
    wanted.is_some_and(|(_, value)| value.eq_ignore_ascii_case(b"representation"))
}

/// Returns the name and the value of a preference, without its parameters; `None` if it is malformed.
fn preference(element: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let preference = parts(element, b';').next()?;
    let mut sides = preference.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let (name, value) = (sides.next()?, sides.next().unwrap_or_default());
    let is_name = !name.is_empty() && name.iter().copied().all(is_token_byte);
    is_name.then(|| word(value)).flatten().map(|value| (name, value))
}

/// Returns the text of a token or a quoted string; `None` if it is malformed.
fn word(text: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        return text.iter().copied().all(is_token_byte).then(|| text.to_vec());
    };
    let mut value = Vec::new();
    let mut rest = quoted.iter();
    loop {
        match rest.next()? {
            b'"' => return rest.as_slice().is_empty().then_some(value),
            b'\\' => value.push(*rest.next()?),
            byte => value.push(*byte),
        }
    }
}

/// Whether a byte may occur in a token (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_first_preference_of_a_name_counts() {
        for (lines, wanted) in [
            (&[][..], false),
            (&["return=representation"], true),
            (&["return=\"representation\""], true),
            (&["return=\"repre\\sentation\""], true),
            (&["return = representation"], true),
            (&["return\t=\t\"representation\"  ; a=b"], true),
            (&["Return=Representation"], true),
            (&["respond-async, return=representation"], true),
            (&["respond-async", "return=representation"], true),
            (&["wait=10;x=\",return=minimal\", return=representation"], true),
            (&["return=representation, return=minimal"], true),
            (&["return=minimal, return=representation"], false),
            (&["return=minimal", "return=representation"], false),
            (&["return", "return=representation"], false),
            (&["foo; return=representation"], false),
            (&["foo=\", return=representation\""], false),
            (&["foo=\"\\\", return=representation\""], false),
            (&["return=representation\""], false),
            (&["return=\"representation"], false),
            (&["return==representation"], false),
            (&["return=\"representation\" x"], false),
            (&["=representation, , return=representation"], true),
            (&["x=\"é\", é=1, return=representation"], true),
            (&["return=\"é\", return=representation"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER.clone(), HeaderValue::from_bytes(line.as_bytes()).expect("a header value"));
            }
            assert_eq!(prefers_representation(&headers), wanted, "{lines:?}");
        }
    }
}
