//! What every request must have, whatever its address.

use actix_web::http::header::{self, HeaderMap};

use super::problem::{Code, Problem};

/// Checks the header `Host` (RFC 9112, section 3.2): the parser has seen that there is one, and only one.
///
/// # Errors
/// It holds a character that no host has.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::HOST) {
        Some(host) if !host.as_bytes().iter().all(|byte| may_stand_in_host(*byte)) => {
            Err(Problem::new(Code::MalformedRequest, "the header `Host` must be a host and perhaps a port"))
        }
        _ => Ok(()),
    }
}

/// The characters of a host and port (RFC 3986, section 3.2.2).
const fn may_stand_in_host(byte: u8) -> bool {
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
