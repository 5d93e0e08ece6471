//! The header `Prefer` (RFC 7240).

use actix_web::http::header::HeaderMap;

/// Whether the client prefers `return=representation`.
pub(super) fn prefers_representation(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
    // Of several preferences with one name the first counts, over all lines.
    let mut preferences = lines.flat_map(|line| split(line, ',')).filter_map(preference);
    let wanted = preferences.find(|(name, _)| name.eq_ignore_ascii_case("return"));
    wanted.is_some_and(|(_, value)| value.eq_ignore_ascii_case("representation"))
}

/// The name and the value of a preference; `None` where it is malformed. What follows a semicolon is its parameters.
fn preference(text: &str) -> Option<(&str, String)> {
    let text = split(text, ';').next()?;
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = name.trim_matches(is_space);
    let is_name = !name.is_empty() && name.bytes().all(is_token_byte);
    is_name.then(|| word(value.trim_matches(is_space))).flatten().map(|value| (name, value))
}

/// What a token or a quoted string says.
fn word(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.bytes().all(is_token_byte).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(value),
            '\\' => value.push(rest.next()?),
            character => value.push(character),
        }
    }
}

/// The parts of `text` between separators that stand outside quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => return character == separator && !is_quoted,
        }
        false
    })
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

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
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HeaderName::from_static("prefer"), HeaderValue::from_static(line));
            }
            assert_eq!(prefers_representation(&headers), wanted, "{lines:?}");
        }
    }
}
