//! Admits connections to a listener: a bounded number in all, and of each client address.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge};

use crate::keyed_counts::{KeyedCount, KeyedCounts};
use crate::telemetry::metric;

/// Maximum numbers of connections of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// Maximum number of connections of all clients together.
    pub(crate) connections: usize,
    /// Maximum number of connections of one client address; `None` for no such bound. An IPv6 client counts by its /64
    /// network.
    pub(crate) per_address: Option<usize>,
}

/// The connections of a listener, over all of its workers.
pub(super) struct Admissions {
    max_connections: usize,
    open: AtomicUsize,
    /// `None` where the connections of one address are not bounded.
    by_address: Option<Arc<KeyedCounts<AddressKey>>>,
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

/// The listener, or the client, has the maximum number of connections.
#[derive(Debug)]
pub(super) struct ConnectionRefused;

impl Admissions {
    /// Returns the admissions of a listener, which metrics call `listener`.
    pub(super) fn new(listener: &'static str, limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            max_connections: limits.connections,
            open: AtomicUsize::new(0),
            by_address: limits.per_address.map(KeyedCounts::new),
            gauge: metric::connections(listener),
            refused: metric::connections_refused(listener, "connections"),
            refused_address: metric::connections_refused(listener, "address"),
        })
    }

    /// Counts a connection from `peer` until the admission is dropped.
    ///
    /// # Errors
    /// There are too many connections in all, or from the same client.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Admission, ConnectionRefused> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max_connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused.increment(1);
            return Err(ConnectionRefused);
        }
        let of_address = match (&self.by_address, peer) {
            (Some(by_address), Some(peer)) => match by_address.enter(AddressKey::new(peer)) {
                Some(count) => Some(count),
                None => {
                    self.open.fetch_sub(1, Ordering::Relaxed);
                    self.refused_address.increment(1);
                    return Err(ConnectionRefused);
                }
            },
            _ => None,
        };
        self.gauge.increment(1);
        Ok(Admission { admissions: Arc::clone(self), _of_address: of_address })
    }
}

/// One admitted connection. Dropping it makes room for another.
pub(super) struct Admission {
    admissions: Arc<Admissions>,
    _of_address: Option<KeyedCount<AddressKey>>,
}

impl Drop for Admission {
    fn drop(&mut self) {
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
    fn the_number_of_connections_is_bounded_and_falls_when_one_closes() {
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
        assert!(admit(&admissions, "192.0.2.1").is_some());
        assert_eq!(admissions.open.load(Ordering::Relaxed), 0);
    }
}
