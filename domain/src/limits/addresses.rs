//! The windows of client addresses, in a table of bounded size.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::rules::LimitClass;
use super::window::Window;

/// Length of the log of an address's window: limits up to it are exact to the microsecond.
const CELLS: u32 = 32;

/// The part of a client's address that is counted: an IPv4 address, or the /64 network of an IPv6 address, since a client has
/// a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKey {
    /// An IPv4 address, also if it was written as IPv6.
    V4(u32),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits) => write!(f, "{}", Ipv4Addr::from_bits(bits)),
            Self::V6(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(bits) << 64)),
        }
    }
}

/// What is counted by address.
#[derive(Debug, Default)]
pub struct AddressCounters {
    /// Calls without an accepted credential.
    pub failures: Window,
    /// Calls that need no credential.
    pub anonymous: Window,
    /// Calls of the classes that are limited by address, too.
    pub by_class: BTreeMap<LimitClass, Window>,
}

impl AddressCounters {
    /// Counts a call in one of the windows at the time `now`, if it is within `limit` per `length` microseconds. Returns how
    /// many calls are left.
    ///
    /// # Errors
    /// The limit was reached: how many microseconds remain until the call would be allowed. It is not counted.
    pub fn count(window: &mut Window, limit: u32, length: u64, now: u64) -> Result<u32, u64> {
        let left = window.left(limit, length, now).checked_sub(1);
        let left = left.ok_or_else(|| window.wait(1, limit, length, now))?;
        window.add(1, limit, length, CELLS, now);
        Ok(left)
    }
}

/// The counters of addresses. The table holds a bounded number of them: when it is full, those go that have been silent for
/// the longest time.
///
/// It has two halves. Addresses that call move to the younger half; when that is full, the older half is dropped and the
/// younger takes its place. So an address that goes on calling is never forgotten, whatever number of others come.
#[derive(Debug)]
pub struct AddressTable {
    young: HashMap<AddressKey, AddressCounters>,
    old: HashMap<AddressKey, AddressCounters>,
    half: usize,
}

impl AddressTable {
    /// Returns an empty table for at most `capacity` addresses.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    /// Returns the counters of an address.
    pub fn counters(&mut self, address: AddressKey) -> &mut AddressCounters {
        if !self.young.contains_key(&address) {
            let known = self.old.remove(&address);
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(address, known.unwrap_or_default());
        }
        self.young.entry(address).or_default()
    }

    /// Forgets an address.
    pub fn forget(&mut self, address: AddressKey) {
        self.young.remove(&address);
        self.old.remove(&address);
    }

    /// Returns the number of addresses in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Returns whether the table has no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn an_ipv6_network_and_a_mapped_address_are_one_address() {
        let key = |text: &str| AddressKey::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(AddressKey::from(IpAddr::V4(Ipv4Addr::LOCALHOST)), AddressKey::V4(0x7f00_0001));
        assert_eq!(AddressKey::from(IpAddr::V6(Ipv6Addr::LOCALHOST)), AddressKey::V6(0));
        assert_eq!(key("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(key("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn a_million_addresses_take_bounded_memory_and_do_not_free_the_one_that_goes_on() {
        let mut table = AddressTable::new(1_000);
        let (attacker, mut allowed) = (AddressKey::V4(1), 0);
        for number in 0..1_000_000_u64 {
            let _ = AddressCounters::count(&mut table.counters(AddressKey::V6(number)).failures, 10, MINUTE, number);
            assert!(table.len() <= 1_000, "the table is bounded");
            if number % 400 == 0 {
                let counters = table.counters(attacker);
                allowed += u32::from(AddressCounters::count(&mut counters.failures, 10, MINUTE, number).is_ok());
            }
        }
        assert_eq!(allowed, 10, "within a minute");
    }

    #[test]
    fn the_last_allowed_call_of_an_address_passes_and_the_next_does_not() {
        for limit in [1, 10, 32, 33, 300] {
            let mut table = AddressTable::new(10);
            let counters = table.counters(AddressKey::V4(7));
            let mut count = |now| AddressCounters::count(&mut counters.failures, limit, MINUTE, now);
            assert!((0..limit).all(|call| count(u64::from(call)) == Ok(limit - call - 1)), "{limit}");
            assert!(count(u64::from(limit)).is_err() && count(2 * MINUTE).is_ok(), "{limit}");
        }
    }
}
