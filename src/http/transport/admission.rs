//! Which connections are let in: a bounded number in all, and of one client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge};
use parking_lot::Mutex;

use crate::telemetry::metric;

/// Maximum numbers of connections of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// In all.
    pub(crate) connections: usize,
    /// Of one client address, if that is bounded. An IPv6 client counts by its /64 network.
    pub(crate) per_address: Option<usize>,
}

/// The connections of a listener, over all of its workers.
pub(super) struct Admissions {
    limits: ConnectionLimits,
    open: AtomicUsize,
    by_address: Mutex<HashMap<AddressKey, usize>>,
    gauge: Gauge,
    refused: Counter,
    refused_address: Counter,
}

/// What counts as one client: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AddressKey {
    V4(u32),
    V6(u64),
}

impl AddressKey {
    fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The listener holds as many connections as it may.
#[derive(Debug)]
pub(super) struct Refused;

impl Admissions {
    /// `listener` names the listener in metrics.
    pub(super) fn new(listener: &'static str, limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
            gauge: metric::connections(listener),
            refused: metric::connections_refused(listener, "connections"),
            refused_address: metric::connections_refused(listener, "address"),
        })
    }

    /// Counts a connection from `peer`, until the admission is dropped.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Admission, Refused> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limits.connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused.increment(1);
            return Err(Refused);
        }
        let key = peer.filter(|_| self.limits.per_address.is_some()).map(AddressKey::new);
        if let (Some(key), Some(most)) = (key, self.limits.per_address)
            && !count_up(&mut self.by_address.lock(), key, most)
        {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused_address.increment(1);
            return Err(Refused);
        }
        self.gauge.increment(1);
        Ok(Admission { admissions: Arc::clone(self), key })
    }
}

fn count_up(by_address: &mut HashMap<AddressKey, usize>, key: AddressKey, most: usize) -> bool {
    let count = by_address.entry(key).or_default();
    if *count >= most {
        return false;
    }
    *count += 1;
    true
}

/// One admitted connection.
pub(super) struct Admission {
    admissions: Arc<Admissions>,
    key: Option<AddressKey>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut by_address = self.admissions.by_address.lock();
            if let Some(count) = by_address.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&key);
                }
            }
        }
        self.admissions.gauge.decrement(1);
        self.admissions.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(admissions: &Arc<Admissions>, peer: &str) -> Option<Admission> {
        admissions.admit(Some(peer.parse().expect("an address"))).ok()
    }

    #[test]
    fn the_number_of_connections_is_bounded_and_given_back() {
        let admissions = Admissions::new("test", ConnectionLimits { connections: 2, per_address: None });
        let first = admit(&admissions, "192.0.2.1");
        let second = admit(&admissions, "192.0.2.1");
        assert!(first.is_some() && second.is_some() && admit(&admissions, "192.0.2.2").is_none());
        drop(first);
        assert!(admit(&admissions, "192.0.2.2").is_some());
    }

    #[test]
    fn one_client_is_an_address_or_a_network_of_64_bits() {
        let admissions = Admissions::new("test", ConnectionLimits { connections: 100, per_address: Some(1) });
        let held =
            ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"].map(|peer| admit(&admissions, peer));
        assert!(held.iter().all(Option::is_some));
        for peer in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:0:1:ffff::2"] {
            assert!(admit(&admissions, peer).is_none(), "{peer}");
        }
        drop(held);
        assert!(admissions.by_address.lock().is_empty());
        assert_eq!(admissions.open.load(Ordering::Relaxed), 0);
    }
}
