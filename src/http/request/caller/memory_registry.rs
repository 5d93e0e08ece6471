//! A registry in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::port::registry::{ListedEntry, Registry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::Mutex;

type Entries = BTreeMap<(RegistryKind, Vec<u8>), Arc<RegistryEntry>>;

/// A registry that is gone with the test.
#[derive(Default)]
pub(crate) struct MemoryRegistry(Mutex<Entries>);

impl Registry for MemoryRegistry {
    fn get(&self, kind: RegistryKind, key: &[u8], now: i64) -> Option<Arc<RegistryEntry>> {
        let found = self.0.lock().get(&(kind, key.to_vec())).cloned();
        found.filter(|entry| !entry.has_expired(now))
    }

    fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry> {
        let entries = self.0.lock();
        let listed = entries.iter().filter(|((of, _), entry)| *of == kind && !entry.has_expired(now));
        listed.map(|((_, key), entry)| (key.clone(), Arc::clone(entry))).collect()
    }

    fn put(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry) -> Result<(), RegistryError> {
        self.0.lock().insert((kind, key.to_vec()), Arc::new(entry));
        Ok(())
    }

    fn put_new(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry, now: i64) -> Result<bool, RegistryError> {
        let mut entries = self.0.lock();
        let place = (kind, key.to_vec());
        let is_new = entries.get(&place).is_none_or(|held| held.has_expired(now));
        if is_new {
            entries.insert(place, Arc::new(entry));
        }
        Ok(is_new)
    }

    fn remove(&self, kind: RegistryKind, key: &[u8]) -> Result<Option<Arc<RegistryEntry>>, RegistryError> {
        Ok(self.0.lock().remove(&(kind, key.to_vec())))
    }
}
