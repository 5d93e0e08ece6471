//! Addresses that a secret or a key may be fetched from.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns whether nobody on the way can change what is fetched from an address: its scheme is `https`, or it is `http` on
/// this machine. An address with a user name is refused, because what stands before the `@` looks like a host and is none.
pub(super) fn is_private(text: &str) -> bool {
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return false;
    }
    let (is_encrypted, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host(authority).is_some_and(|host| is_encrypted || is_this_machine(host))
}

/// Returns the host of an authority, without the brackets of an IPv6 address; `None` if it is no host with an optional port.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (Some(host).filter(|host| !host.is_empty() && host.bytes().all(is_name))?, port)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_on_the_way_can_change_is_private() {
        for text in [
            "https://example.in/keys",
            "https://example.in:8443",
            "https://[2001:db8::1]/keys?a=b@c",
            "http://localhost/keys",
            "http://LOCALHOST:1",
            "http://127.0.0.1:8000",
            "http://127.8.8.8/",
            "http://[::1]",
            "http://[::1]:80/?a",
        ] {
            assert!(is_private(text), "{text}");
        }
        for text in [
            "",
            "x",
            "http://",
            "https://",
            "https:///keys",
            "ftp://localhost/",
            "HTTP://localhost/",
            "http://example.in/",
            "http://localhost.example.in/",
            "http://localhost@example.in/",
            "http://localhost:80@example.in/",
            "http://127.0.0.1:80@example.in/",
            "http://[::1]@example.in/",
            "http://[::1]:80@example.in/",
            "http://me:pass@localhost/",
            "https://me@example.in/",
            "https://me:pass@example.in/",
            "http://localhost\\@example.in/",
            "http://localhost\\.example.in/",
            "http://localhost /",
            "http://localhost\n.example.in/",
            "http://localhost:/x",
            "http://localhost:http/",
            "http://localhost:65536/",
            "http://localhost%40example.in/",
            "http://[::2]/",
            "http://[::1/",
            "http://[::1]x/",
            "http://::1/",
            "http://128.0.0.1/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://lo\u{441}alhost/",
        ] {
            assert!(!is_private(text), "{text}");
        }
    }
}
