//! Callers and addresses that the limits do not apply to. The entries are in the registry.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::limits::Network;
use domain::port::clock::Clock;
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use serde::{Deserialize, Serialize};

use crate::json_text;

const CALLER: &str = "caller:";
const ADDRESS: &str = "address:";

/// Whom an entry of the allowlist is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowlistSubject {
    /// The caller with this `sub`.
    Caller(String),
    /// All clients with an address in this network.
    Address(Network),
}

impl AllowlistSubject {
    /// Returns the entry's key in the registry.
    fn key(&self) -> String {
        match self {
            Self::Caller(subject) => format!("{CALLER}{subject}"),
            Self::Address(network) => format!("{ADDRESS}{network}"),
        }
    }

    fn from_key(key: &[u8]) -> Option<Self> {
        let key = str::from_utf8(key).ok()?;
        let caller = key.strip_prefix(CALLER).map(|subject| Self::Caller(subject.to_owned()));
        caller.or_else(|| Network::parse(key.strip_prefix(ADDRESS)?).map(Self::Address))
    }
}

/// An entry of the allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowlistEntry {
    pub(crate) subject: AllowlistSubject,
    /// Why the limits do not apply.
    pub(crate) reason: String,
    /// The administrator who added the entry.
    pub(crate) added_by: String,
    /// When the entry expires, in microseconds since the Unix epoch.
    pub(crate) expires_at: i64,
}

/// The value of an entry in the registry.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    reason: String,
    added_by: String,
}

/// The allowlist. Its methods that change it wait for the disk.
pub(crate) struct Allowlist {
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    /// The networks of the entries that have not expired.
    addresses: ArcSwap<Vec<Network>>,
    /// The callers of these entries.
    callers: ArcSwap<HashSet<String>>,
}

impl Allowlist {
    /// Returns the allowlist in the registry. Entries expire by `clock`, the wall clock.
    pub(super) fn load(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        let list = Self { registry, clock, addresses: ArcSwap::default(), callers: ArcSwap::default() };
        list.sweep();
        list
    }

    /// Returns the time by which entries expire, in microseconds since the Unix epoch.
    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Adds an entry, in place of one for the same subject. Durable when it returns.
    ///
    /// # Errors
    /// As [`Registry::put`].
    pub(crate) fn add(&self, entry: &AllowlistEntry) -> Result<(), RegistryError> {
        let AllowlistEntry { subject, reason, added_by, expires_at } = entry;
        let stored = StoredEntry { reason: reason.clone(), added_by: added_by.clone() };
        let value = json_text::to_text(&stored).into_bytes();
        let entry = RegistryEntry { value, expires_at: Some(*expires_at) };
        self.registry.put(RegistryKind::ALLOWLIST, subject.key().as_bytes(), entry)
    }

    /// Removes the entry for a subject. Returns whether there was one.
    ///
    /// # Errors
    /// As [`Registry::remove`].
    pub(crate) fn remove(&self, subject: &AllowlistSubject) -> Result<bool, RegistryError> {
        Ok(self.registry.remove(RegistryKind::ALLOWLIST, subject.key().as_bytes())?.is_some())
    }

    /// Returns the entries that have not expired.
    pub(crate) fn entries(&self) -> Vec<AllowlistEntry> {
        let listed = self.registry.list(RegistryKind::ALLOWLIST, self.clock.now_micros());
        let entry = |(key, entry): (Vec<u8>, Arc<RegistryEntry>)| {
            let StoredEntry { reason, added_by } = serde_json::from_slice(&entry.value).ok()?;
            let subject = AllowlistSubject::from_key(&key)?;
            Some(AllowlistEntry { subject, reason, added_by, expires_at: entry.expires_at? })
        };
        listed.into_iter().filter_map(entry).collect()
    }

    /// Reads the entries again. Returns whether they are other ones than before.
    pub(super) fn sweep(&self) -> bool {
        let (mut callers, mut addresses) = (HashSet::new(), Vec::new());
        for entry in self.entries() {
            match entry.subject {
                AllowlistSubject::Caller(subject) => drop(callers.insert(subject)),
                AllowlistSubject::Address(network) => addresses.push(network),
            }
        }
        let changed = callers != **self.callers.load() || addresses != **self.addresses.load();
        if changed {
            self.callers.store(Arc::new(callers));
            self.addresses.store(Arc::new(addresses));
        }
        changed
    }

    /// Returns the callers of the entries, as they were when they were last read.
    pub(super) fn callers(&self) -> HashSet<String> {
        (**self.callers.load()).clone()
    }

    /// Returns whether an entry has the address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.load().iter().any(|network| network.contains(address))
    }
}
