//! Checks that apply to all requests.

use actix_web::http::header::{self, HeaderMap};

use super::problem::{Code, Problem};

/// Checks the header `Host` (RFC 9112, section 3.2). The parser has checked that there is exactly one.
///
/// # Errors
/// The header contains a character that is not allowed in a host.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::HOST) {
        Some(host) if !host.as_bytes().iter().all(|byte| is_host_byte(*byte)) => {
            Err(Problem::new(Code::MalformedRequest, "the header `Host` must be a host with an optional port"))
        }
        _ => Ok(()),
    }
}

/// Whether a byte may occur in a host with a port (RFC 3986, section 3.2.2).
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'.' | b':'
                | b'-'
                | b'_'
                | b'~'
                | b'['
                | b']'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_host_has_only_characters_of_hosts() {
        let is_fine = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            check(&headers).is_ok()
        };
        for host in ["", "localhost", "dashboard.example.in:8080", "[2001:db8::1]:80", "192.0.2.7", "xn--a%20b"] {
            assert!(is_fine(host), "{host}");
        }
        for host in ["a b/c", "user@host", "a\\b", "<a>", "a,b c", "a\"b", "host/"] {
            assert!(!is_fine(host), "{host}");
        }
    }
}
