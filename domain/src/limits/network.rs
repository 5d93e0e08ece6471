//! Networks of addresses, as settings name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, or a network in CIDR notation such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address. One of IPv4 is never written as IPv6.
    first: IpAddr,
    /// The number of leading bits that all addresses share.
    bits: u8,
}

impl Network {
    /// Parses an address or a network; `None` if the text is neither, or if it sets bits after the prefix.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse().ok()?)),
            None => (text.parse::<IpAddr>().ok()?.to_canonical(), None),
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let network = Self { first: address, bits: bits.unwrap_or(width) };
        (network.bits <= width && masked(address, network.bits) == address).then_some(network)
    }

    /// Returns the address, if it is one and not a whole network.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        (self.bits == width).then_some(self.first)
    }

    /// Returns whether the network has the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.bits) == self.first
    }
}

/// Returns an address with only its first `bits` bits.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let rest = |width: u32| width.saturating_sub(u32::from(bits));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(rest(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(rest(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        if self.bits == width { write!(f, "{}", self.first) } else { write!(f, "{}/{}", self.first, self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_with_its_prefix() {
        let has = |network: &str, address: &str| {
            Network::parse(network).expect("a network").contains(address.parse().expect("an address"))
        };
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(
            has("192.0.2.7", "192.0.2.7") && has("192.0.2.7", "::ffff:192.0.2.7") && !has("192.0.2.7", "192.0.2.8")
        );
        assert!(has("2001:db8::/32", "2001:db8:9::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1") && has("::/0", "2001:db8::1"));
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "example.in"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        for text in ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"] {
            assert_eq!(Network::parse(text).expect("a network").to_string(), text);
        }
    }
}
