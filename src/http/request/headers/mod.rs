//! Parsers of header fields as RFC 9110 defines them. All routes use them, so a header means the same everywhere.

pub(crate) mod accept;
pub(crate) mod entity_tag;
pub(crate) mod media_type;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::http::problem::{Code, Problem};
use media_type::MediaType;

/// Returns the value of a field that may be sent once.
///
/// # Errors
/// The field is sent several times. RFC 9110, section 5.3, forbids that: a proxy and the server could pick different
/// values and so disagree about the request.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Problem> {
    let mut lines = headers.get_all(name);
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(Problem::new(Code::InvalidRequest, format!("the header `{name}` must not be repeated"))),
    }
}

/// Returns the media type of the body. Without a `Content-Type`, or with one that is not text, it equals no type.
///
/// # Errors
/// The field is sent several times.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<MediaType<'_>, Problem> {
    let given = single(headers, &header::CONTENT_TYPE)?.and_then(|value| value.to_str().ok());
    Ok(MediaType::parse(given.unwrap_or_default()))
}

/// Returns the elements of a list field over all its lines (RFC 9110, sections 5.3 and 5.6.1), without the empty ones.
pub(crate) fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    headers.get_all(name).flat_map(|line| parts(line.as_bytes(), b',')).filter(|element| !element.is_empty())
}

/// Splits text at a separator, and trims the parts. A separator inside a quoted string does not count.
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
    fn a_field_that_may_be_sent_once_is_refused_twice() {
        assert!(single(&HeaderMap::new(), &header::AUTHORIZATION).is_ok_and(|value| value.is_none()));
        assert!(single(&map(header::AUTHORIZATION, &["a"]), &header::AUTHORIZATION).is_ok_and(|value| value.is_some()));
        let twice = map(header::AUTHORIZATION, &["a", "a"]);
        assert!(single(&twice, &header::AUTHORIZATION).is_err_and(|problem| problem.is(Code::InvalidRequest)));
        let headers = map(header::CONTENT_TYPE, &["Application/JSON ; charset=utf-8"]);
        let typed = content_type(&headers);
        assert!(typed.is_ok_and(|media_type| media_type.is("application/json")));
        assert!(content_type(&map(header::CONTENT_TYPE, &["a/b", "c/d"])).is_err());
    }
}
