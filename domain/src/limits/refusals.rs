//! Counts refused calls, so that each caller leaves one entry a minute in the audit log and not one a call.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// How long the refusals of a caller are counted together, in microseconds.
const PERIOD: u64 = 60_000_000;

/// Refusals that are due to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalCount<K> {
    /// Who was refused, and what.
    pub key: K,
    /// How many calls were refused since the last record.
    pub count: u64,
}

/// What is due to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRefusals<K> {
    /// The refusals that came after the first of each key.
    pub counts: Vec<RefusalCount<K>>,
    /// The number of refusals for whose keys there was no place, by what was refused.
    pub others: BTreeMap<&'static str, u64>,
}

/// Counts refusals by a key. The first of a minute is recorded at once, and the others together when the minute is over.
///
/// It holds a bounded number of keys. When it is full, refusals of further keys are counted together, by the action that was
/// refused.
#[derive(Debug)]
pub struct RefusalLog<K> {
    open: HashMap<K, Open>,
    capacity: usize,
    /// Refusals of keys for which there was no place, by the action.
    others: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Open {
    since: u64,
    count: u64,
}

impl<K: Eq + Hash + Clone> RefusalLog<K> {
    /// Returns an empty log for at most `capacity` keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { open: HashMap::new(), capacity, others: BTreeMap::new() }
    }

    /// Counts a refusal of an action at the time `now`. Returns whether it is the first of its key, which is recorded at once.
    pub fn count(&mut self, key: K, action: &'static str, now: u64) -> bool {
        if let Some(open) = self.open.get_mut(&key) {
            open.count += 1;
            return false;
        }
        if self.open.len() >= self.capacity {
            *self.others.entry(action).or_default() += 1;
            return false;
        }
        self.open.insert(key, Open { since: now, count: 0 });
        true
    }

    /// Ends the minutes that are over at the time `now`, and returns what is due to be recorded.
    pub fn due(&mut self, now: u64) -> DueRefusals<K> {
        let mut counts = Vec::new();
        self.open.retain(|key, open| {
            let is_over = open.since.saturating_add(PERIOD) <= now;
            if is_over && open.count > 0 {
                counts.push(RefusalCount { key: key.clone(), count: open.count });
            }
            !is_over
        });
        DueRefusals { counts, others: std::mem::take(&mut self.others) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_recorded_at_once_and_then_once_a_minute() {
        let mut log = RefusalLog::new(2);
        let mut count = |key, now| log.count(key, "read", now);
        assert!(count("a", 0) && !count("a", 1) && !count("a", 2) && count("b", 3));
        assert_eq!(log.due(PERIOD).counts, vec![RefusalCount { key: "a", count: 2 }]);
        assert!(log.due(PERIOD + 3).counts.is_empty(), "what was recorded at once is not counted again");
        assert!(log.count("a", "read", PERIOD + 4), "another minute");
    }

    #[test]
    fn refusals_without_a_place_are_counted_by_their_action() {
        let mut log = RefusalLog::new(1);
        assert!(log.count("a", "read", 0));
        for (key, action) in [("b", "read"), ("c", "write"), ("b", "read")] {
            assert!(!log.count(key, action, 1), "there is no place");
        }
        let due = log.due(2);
        assert_eq!((due.counts.len(), due.others), (0, BTreeMap::from([("read", 2), ("write", 1)])));
        assert!(log.due(3).others.is_empty());
    }
}
