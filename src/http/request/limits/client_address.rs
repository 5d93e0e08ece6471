//! The address of a request's client.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use domain::limits::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose `X-Forwarded-For` is believed. Without any, the header is ignored, since every client can send it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Returns the proxies in these networks.
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Returns the address of the client of a request; `None` if the request did not come over a socket.
    pub(super) fn client_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        Some(if self.0.is_empty() { peer } else { self.behind(peer, request.headers()) })
    }

    /// Returns the client that a connection from `peer` is for: the last address that no trusted proxy has. Each proxy
    /// appends the address that it was called from, so what stands before that address was sent by the client itself.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
        let mut named = lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while self.is_proxy(client) {
            let next = named.next().and_then(|text| str::from_utf8(text).ok()).and_then(|text| parse(text.trim()));
            match next {
                Some(next) => client = next,
                // The chain ends at a proxy, or in text that is not an address.
                None => break,
            }
        }
        client
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Parses an address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[track_caller]
    fn check(proxies: &[&str], forwarded: &[&str], expected: &str) {
        let proxies = TrustedProxies(proxies.iter().map(|text| Network::parse(text).expect("a network")).collect());
        let mut request = TestRequest::default().peer_addr(([10, 0, 0, 1], 5_000).into());
        for line in forwarded {
            request = request.append_header((X_FORWARDED_FOR, *line));
        }
        let address = proxies.client_address(&request.to_http_request()).expect("an address");
        assert_eq!(address.to_string(), expected, "{forwarded:?}");
    }

    #[test]
    fn a_client_cannot_choose_its_address() {
        check(&[], &["203.0.113.9"], "10.0.0.1");
        check(&["192.0.2.0/24"], &["203.0.113.9"], "10.0.0.1");
        check(&["10.0.0.0/8"], &[], "10.0.0.1");
        check(&["10.0.0.0/8"], &["203.0.113.9"], "203.0.113.9");
        check(&["10.0.0.0/8"], &["198.51.100.1, 203.0.113.9"], "203.0.113.9");
        check(&["10.0.0.0/8"], &["198.51.100.1", "203.0.113.9, 10.9.9.9"], "203.0.113.9");
        check(&["10.0.0.0/8"], &["198.51.100.1, unknown"], "10.0.0.1");
        check(&["10.0.0.0/8"], &["10.0.0.2, 10.0.0.3"], "10.0.0.2");
        check(&["10.0.0.0/8"], &["203.0.113.9:4711"], "203.0.113.9");
        check(&["10.0.0.0/8"], &["[2001:db8::1]:4711"], "2001:db8::1");
        check(&["10.0.0.0/8"], &["::ffff:203.0.113.9"], "203.0.113.9");
    }
}
