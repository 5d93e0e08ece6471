//! What is counted for client addresses, shared by threads.

use std::net::IpAddr;

use domain::limits::{AddressCounters, AddressKey, AddressTable, LimitClass, Quota};
use domain::splitmix64;
use parking_lot::Mutex;

/// Number of tables, each with its lock.
const SHARDS: usize = 16;
/// Maximum number of addresses of all tables. An address takes up to 1.2 KB.
const CAPACITY: usize = 32_768;

/// What is counted by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressKind {
    /// Calls without an accepted credential.
    Failure,
    /// Calls that need no credential.
    Anonymous,
    /// Calls of a class that is limited by address, too.
    Class(LimitClass),
}

impl AddressKind {
    /// Returns the name in headers and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failures",
            Self::Anonymous => "anonymous",
            Self::Class(class) => class.name(),
        }
    }
}

/// The counters of addresses.
pub(super) struct Addresses([Mutex<AddressTable>; SHARDS]);

impl Addresses {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(AddressTable::new(CAPACITY / SHARDS))))
    }

    /// Counts a call at the time `now`, and returns how many are left. `Err` says how many microseconds remain until it would
    /// be allowed.
    pub(super) fn count(&self, kind: AddressKind, address: IpAddr, quota: Quota, now: u64) -> Result<u32, u64> {
        let key = AddressKey::from(address);
        let mut table = self.table(key).lock();
        let AddressCounters { failures, anonymous, by_class } = table.counters(key);
        let window = match kind {
            AddressKind::Failure => failures,
            AddressKind::Anonymous => anonymous,
            AddressKind::Class(class) => by_class.entry(class).or_default(),
        };
        AddressCounters::count(window, quota.limit, quota.window(), now)
    }

    /// Forgets an address.
    pub(super) fn forget(&self, address: IpAddr) {
        let key = AddressKey::from(address);
        self.table(key).lock().forget(key);
    }

    /// Returns the number of addresses.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|table| table.lock().len()).sum()
    }

    fn table(&self, key: AddressKey) -> &Mutex<AddressTable> {
        let bits = match key {
            AddressKey::V4(bits) => u64::from(bits),
            AddressKey::V6(bits) => bits,
        };
        // Neighbouring addresses and networks go to different tables.
        &self.0[splitmix64::mix(bits) as usize % SHARDS]
    }
}
