//! Counts what is open for each key, such as a caller or a client address, and bounds it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts by key. A key whose count is zero takes no memory.
pub(crate) struct KeyedCounts<K> {
    counts: Mutex<HashMap<K, usize>>,
    max_per_key: usize,
}

/// One open thing of a key. Dropping it lowers the key's count.
pub(crate) struct KeyedCount<K: Eq + Hash> {
    counts: Arc<KeyedCounts<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> KeyedCounts<K> {
    /// Returns empty counts, of which each may reach `max_per_key`.
    pub(crate) fn new(max_per_key: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), max_per_key })
    }

    /// Counts one more for `key`; `None` if its count is at the maximum.
    pub(crate) fn enter(self: &Arc<Self>, key: K) -> Option<KeyedCount<K>> {
        let mut counts = self.counts.lock();
        let count = counts.get(&key).map_or(1, |count| count + 1);
        if count > self.max_per_key {
            return None;
        }
        counts.insert(key.clone(), count);
        drop(counts);
        Some(KeyedCount { counts: Arc::clone(self), key })
    }
}

impl<K: Eq + Hash> Drop for KeyedCount<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_bounded_by_itself_and_its_place_is_free_again_after_a_drop() {
        let counts = KeyedCounts::new(2);
        let [first, second] = ["svc:a", "svc:a"].map(|caller| counts.enter(caller));
        assert!(first.is_some() && second.is_some() && counts.enter("svc:a").is_none());
        assert!(counts.enter("svc:b").is_some());
        drop(first);
        assert!(counts.enter("svc:a").is_some());
        drop(second);
        assert!(counts.counts.lock().is_empty());
        assert!(KeyedCounts::new(0).enter("svc:a").is_none());
    }
}
