//! The entries of the registry in memory, bounded by kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::port::registry::{
    ListedEntry, MAX_REGISTRY_KEY_BYTES, MAX_REGISTRY_VALUE_BYTES, RegistryEntry, RegistryError, RegistryKind,
};

use super::change::{Change, EntryKey};

/// What an entry counts for in addition to its key and value: about what the map, the counters and the allocations around
/// them take.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// All entries, in the order of their kinds and keys.
#[derive(Default)]
pub(super) struct Table {
    entries: BTreeMap<EntryKey, Arc<RegistryEntry>>,
    /// The bytes of each kind's entries.
    bytes: BTreeMap<RegistryKind, usize>,
}

impl Table {
    /// Returns the entry under a key, expired or not.
    pub(super) fn get(&self, key: &EntryKey) -> Option<&Arc<RegistryEntry>> {
        self.entries.get(key)
    }

    /// Returns the entries of a kind that have not expired at the time `now`.
    pub(super) fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry> {
        let from = (kind, Vec::new());
        let of_kind = self.entries.range(from..).take_while(|((other, _), _)| *other == kind);
        let valid = of_kind.filter(|(_, entry)| !entry.has_expired(now));
        valid.map(|((_, key), entry)| (key.clone(), Arc::clone(entry))).collect()
    }

    /// Checks that an entry can be stored, if the entries of each kind may take `max_bytes`.
    pub(super) fn check(&self, key: &EntryKey, entry: &RegistryEntry, max_bytes: usize) -> Result<(), RegistryError> {
        if key.1.is_empty() || key.1.len() > MAX_REGISTRY_KEY_BYTES || entry.value.len() > MAX_REGISTRY_VALUE_BYTES {
            return Err(RegistryError::Size);
        }
        let replaced = self.get(key).map_or(0, |old| size(key, old));
        let others = self.bytes_of(key.0) - replaced;
        if others + size(key, entry) > max_bytes { Err(RegistryError::Full) } else { Ok(()) }
    }

    /// Applies a change. Returns whether it removed the job of an erasure, which names a person.
    pub(super) fn apply(&mut self, change: Change) -> bool {
        let Change { key, entry } = change;
        let is_job = key.0 == RegistryKind::ERASURE_JOB;
        let removed = self.entries.get(&key).map_or(0, |old| size(&key, old));
        let added = entry.as_ref().map_or(0, |entry| size(&key, entry));
        let bytes = self.bytes.entry(key.0).or_default();
        *bytes = *bytes + added - removed;
        match entry {
            Some(entry) => {
                self.entries.insert(key, entry);
                false
            }
            None => self.entries.remove(&key).is_some() && is_job,
        }
    }

    /// Removes the entries that have expired at the time `now`.
    pub(super) fn sweep(&mut self, now: i64) {
        let bytes = &mut self.bytes;
        self.entries.retain(|key, entry| {
            let stays = !entry.has_expired(now);
            if !stays {
                *bytes.entry(key.0).or_default() -= size(key, entry);
            }
            stays
        });
    }

    /// Returns the changes that lead from an empty table to this one.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        self.entries.iter().map(|(key, entry)| Change { key: key.clone(), entry: Some(Arc::clone(entry)) })
    }

    /// Returns the bytes that the entries of a kind count for.
    fn bytes_of(&self, kind: RegistryKind) -> usize {
        self.bytes.get(&kind).copied().unwrap_or(0)
    }
}

fn size(key: &EntryKey, entry: &RegistryEntry) -> usize {
    ENTRY_OVERHEAD_BYTES + key.1.len() + entry.value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: RegistryKind = RegistryKind::SESSION;

    fn change(key: &str, value: Option<usize>, expires_at: Option<i64>) -> Change {
        let entry = value.map(|length| Arc::new(RegistryEntry { value: vec![7; length], expires_at }));
        Change { key: (KIND, key.into()), entry }
    }

    #[test]
    fn the_bytes_of_a_kind_are_those_of_its_entries() {
        let mut table = Table::default();
        table.apply(change("a", Some(10), None));
        table.apply(change("b", Some(20), Some(5)));
        table.apply(change("a", Some(1), None));
        assert_eq!(table.bytes_of(KIND), 2 * ENTRY_OVERHEAD_BYTES + 2 + 21);
        table.apply(change("a", None, None));
        table.apply(change("missing", None, None));
        table.sweep(4);
        assert_eq!(table.bytes_of(KIND), ENTRY_OVERHEAD_BYTES + 1 + 20);
        table.sweep(5);
        assert_eq!((table.bytes_of(KIND), table.entries.len()), (0, 0));
    }

    #[test]
    fn a_kind_has_a_bound_and_an_entry_may_replace_itself_at_the_bound() {
        let mut table = Table::default();
        let entry = RegistryEntry { value: vec![7; 100], expires_at: None };
        let (key, bound) = ((KIND, b"a".to_vec()), ENTRY_OVERHEAD_BYTES + 101);
        table.check(&key, &entry, bound).expect("there is room");
        table.apply(change("a", Some(100), None));
        table.check(&key, &entry, bound).expect("it takes the place of the old one");
        let second = (KIND, b"b".to_vec());
        assert!(matches!(table.check(&second, &entry, bound), Err(RegistryError::Full)));
        let other_kind = (RegistryKind::REVOCATION, b"b".to_vec());
        table.check(&other_kind, &entry, bound).expect("each kind has its own bound");
    }
}
