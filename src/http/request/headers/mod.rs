//! Reading header fields as RFC 9110 defines them. Every route uses these parsers, so that a header means the same
//! everywhere.

pub(crate) mod accept;
pub(crate) mod entity_tag;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::http::problem::{Code, Problem};

/// The value of a field that may stand once.
///
/// # Errors
/// The field stands on several lines: RFC 9110, section 5.3, forbids to send that, and recipients that pick different
/// lines would disagree about the request.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Problem> {
    let mut lines = headers.get_all(name);
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(Problem::new(Code::InvalidRequest, format!("the header `{name}` must not be repeated"))),
    }
}

/// The media type of the body without its parameters, in lower case; empty where none is given.
///
/// # Errors
/// Several lines, as [`single`].
pub(crate) fn content_type(headers: &HeaderMap) -> Result<String, Problem> {
    let given = single(headers, &header::CONTENT_TYPE)?.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split_once(';').map_or(given, |(media_type, _)| media_type);
    Ok(media_type.trim_ascii().to_ascii_lowercase())
}

/// The elements of a list field over all its lines (RFC 9110, sections 5.3 and 5.6.1), without the empty ones.
pub(crate) fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    headers.get_all(name).flat_map(|line| parts(line.as_bytes(), b',')).filter(|element| !element.is_empty())
}

/// The parts between separators, without the blanks around them. A separator in a quoted string separates nothing.
pub(crate) fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let is_separator = move |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte => return *byte == separator && !quoted,
        }
        false
    };
    text.split(is_separator).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn map(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_bytes(line.as_bytes()).expect("a header value"));
        }
        headers
    }

    #[test]
    fn lines_of_a_list_are_one_list() {
        let headers = map(header::ACCEPT, &["a , b,,", "", "c;x=\"1,2\\\",3\";y, d"]);
        let found: Vec<_> =
            elements(&headers, &header::ACCEPT).map(|element| String::from_utf8_lossy(element)).collect();
        assert_eq!(found, ["a", "b", "c;x=\"1,2\\\",3\";y", "d"]);
    }

    #[test]
    fn a_field_that_may_stand_once_is_refused_twice() {
        assert!(single(&HeaderMap::new(), &header::AUTHORIZATION).is_ok_and(|value| value.is_none()));
        assert!(single(&map(header::AUTHORIZATION, &["a"]), &header::AUTHORIZATION).is_ok_and(|value| value.is_some()));
        let twice = map(header::AUTHORIZATION, &["a", "a"]);
        assert!(single(&twice, &header::AUTHORIZATION).is_err_and(|problem| problem.is(Code::InvalidRequest)));
        let typed = content_type(&map(header::CONTENT_TYPE, &["Application/JSON ; charset=utf-8"]));
        assert_eq!(typed.ok().as_deref(), Some("application/json"));
        assert!(content_type(&map(header::CONTENT_TYPE, &["a/b", "c/d"])).is_err());
    }
}
