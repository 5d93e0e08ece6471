//! Callers and addresses that the limits do not apply to. The entries are in the registry.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use domain::limits::Network;
use domain::port::clock::Clock;
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::json_text;

/// Maximum number of entries. Each call without a credential is compared with all networks.
pub(crate) const MAX_ALLOWLIST_ENTRIES: usize = 1_000;
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

/// Why an entry was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AllowlistError {
    /// There are [`MAX_ALLOWLIST_ENTRIES`] already.
    #[error(
        "the allowlist has {MAX_ALLOWLIST_ENTRIES} entries, which is the most: remove one, or name a larger network"
    )]
    Full,
    /// The registry did not store it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// The allowlist. Its methods that change it wait for the disk.
pub(crate) struct Allowlist {
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    in_force: ArcSwap<InForce>,
    /// Whether entries were added or removed since they were read.
    is_stale: AtomicBool,
    /// Locked while an entry is added, so that two that are added together count each other.
    adds: Mutex<()>,
}

/// The entries in force, and when they are.
#[derive(Default)]
struct InForce {
    networks: Vec<Network>,
    callers: HashSet<String>,
    /// The time from which on these are in force: when the last of those before has expired. The wall clock may be set back.
    from: i64,
    /// The time at which the next one expires.
    until: i64,
}

impl InForce {
    /// Reads the entries in force at the time `now`.
    fn read(registry: &dyn Registry, now: i64) -> Self {
        let mut read = Self { from: i64::MIN, until: i64::MAX, ..Self::default() };
        for (key, entry) in registry.list(RegistryKind::ALLOWLIST, i64::MIN) {
            match entry.expires_at {
                Some(end) if end <= now => {
                    read.from = read.from.max(end);
                    continue;
                }
                Some(end) => read.until = read.until.min(end),
                None => {}
            }
            match AllowlistSubject::from_key(&key) {
                Some(AllowlistSubject::Caller(subject)) => drop(read.callers.insert(subject)),
                Some(AllowlistSubject::Address(network)) => read.networks.push(network),
                None => {}
            }
        }
        read
    }
}

impl Allowlist {
    /// Returns the allowlist in the registry. Entries expire by `clock`, the wall clock.
    pub(super) fn load(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>) -> Self {
        let in_force = InForce::read(&*registry, clock.now_micros());
        let (in_force, is_stale) = (ArcSwap::from_pointee(in_force), AtomicBool::new(false));
        Self { registry, clock, in_force, is_stale, adds: Mutex::default() }
    }

    /// Returns the time by which entries expire, in microseconds since the Unix epoch.
    pub(crate) fn now_micros(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Adds an entry, in place of one for the same subject. Durable when it returns.
    ///
    /// # Errors
    /// There are too many, or as [`Registry::put`].
    pub(crate) fn add(&self, entry: &AllowlistEntry) -> Result<(), AllowlistError> {
        let AllowlistEntry { subject, reason, added_by, expires_at } = entry;
        let _adds = self.adds.lock();
        let listed = self.registry.list(RegistryKind::ALLOWLIST, self.clock.now_micros());
        let replaces = listed.iter().any(|(key, _)| key == subject.key().as_bytes());
        if listed.len() >= MAX_ALLOWLIST_ENTRIES && !replaces {
            return Err(AllowlistError::Full);
        }
        let stored = StoredEntry { reason: reason.clone(), added_by: added_by.clone() };
        let value = json_text::to_text(&stored).into_bytes();
        let entry = RegistryEntry { value, expires_at: Some(*expires_at) };
        self.registry.put(RegistryKind::ALLOWLIST, subject.key().as_bytes(), entry)?;
        self.is_stale.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes the entry for a subject. Returns whether there was one.
    ///
    /// # Errors
    /// As [`Registry::remove`].
    pub(crate) fn remove(&self, subject: &AllowlistSubject) -> Result<bool, RegistryError> {
        let removed = self.registry.remove(RegistryKind::ALLOWLIST, subject.key().as_bytes())?;
        self.is_stale.store(true, Ordering::Release);
        Ok(removed.is_some())
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

    /// Reads the entries again if one was added, removed, or has expired. Returns whether other ones are in force.
    pub(super) fn sweep(&self) -> bool {
        let (now, held) = (self.clock.now_micros(), self.in_force.load());
        let is_stale = self.is_stale.swap(false, Ordering::AcqRel);
        if !is_stale && (held.from..held.until).contains(&now) {
            return false;
        }
        let read = InForce::read(&*self.registry, now);
        let changed = read.callers != held.callers || read.networks != held.networks;
        self.in_force.store(Arc::new(read));
        changed
    }

    /// Returns the callers of the entries, as they were when they were last read.
    pub(super) fn callers(&self) -> HashSet<String> {
        self.in_force.load().callers.clone()
    }

    /// Returns whether an entry has the address.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.in_force.load().networks.iter().any(|network| network.contains(address))
    }
}
