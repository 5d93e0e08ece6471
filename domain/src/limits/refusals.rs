//! Counts refused calls, so that each caller leaves one entry a minute in the audit log and not one a call.

use std::collections::HashMap;
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

/// Counts refusals by a key. The first of a minute is recorded at once, and the others together when the minute is over.
///
/// It holds a bounded number of keys. When it is full, refusals of further keys are counted together without a key.
#[derive(Debug)]
pub struct RefusalLog<K> {
    open: HashMap<K, Open>,
    capacity: usize,
    /// Refusals of keys for which there was no place.
    others: u64,
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
        Self { open: HashMap::new(), capacity, others: 0 }
    }

    /// Counts a refusal at the time `now`. Returns whether it is the first of its key, which is recorded at once.
    pub fn count(&mut self, key: K, now: u64) -> bool {
        if let Some(open) = self.open.get_mut(&key) {
            open.count += 1;
            return false;
        }
        if self.open.len() >= self.capacity {
            self.others += 1;
            return false;
        }
        self.open.insert(key, Open { since: now, count: 0 });
        true
    }

    /// Ends the minutes that are over at the time `now`. Returns the refusals that came after the first of each key, and
    /// the number of refusals for whose keys there was no place.
    pub fn due(&mut self, now: u64) -> (Vec<RefusalCount<K>>, u64) {
        let mut due = Vec::new();
        self.open.retain(|key, open| {
            let is_over = open.since.saturating_add(PERIOD) <= now;
            if is_over && open.count > 0 {
                due.push(RefusalCount { key: key.clone(), count: open.count });
            }
            !is_over
        });
        (due, std::mem::take(&mut self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_recorded_at_once_and_then_once_a_minute() {
        let mut log = RefusalLog::new(2);
        assert!(log.count("a", 0) && !log.count("a", 1) && !log.count("a", 2) && log.count("b", 3));
        assert!(!log.count("c", 4), "there is no place");
        assert_eq!(log.due(5), (Vec::new(), 1));
        assert_eq!(log.due(PERIOD), (vec![RefusalCount { key: "a", count: 2 }], 0));
        assert_eq!(log.due(PERIOD + 3), (Vec::new(), 0), "what was recorded at once is not counted again");
        assert!(log.count("a", PERIOD + 4), "another minute");
    }
}
