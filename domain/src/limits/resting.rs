//! What callers have called who are silent, in little memory and exactly.

use std::collections::HashMap;

use super::counters::{CallerCounters, SECOND};
use super::rules::{LimitClass, Quotas};
use super::window::Window;

/// Number of further entries after which a table that holds few looks for those that count nothing any more.
const MIN_GROWTH: usize = 1_024;

/// What a silent caller has called. It holds the same calls as the [`CallerCounters`] that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestingCounters {
    calls: Box<[RestingCalls]>,
    /// The time from which on nothing is counted any more.
    idle_at: u64,
}

/// Calls that are forgotten together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RestingCalls {
    last: u64,
    count: u32,
    class: LimitClass,
    /// Whether they are in the window of bursts.
    is_burst: bool,
}

impl RestingCounters {
    /// Returns what `counters` still count at the time `now`; `None` if that is nothing.
    pub fn new(counters: &mut CallerCounters, quotas: &Quotas, now: u64) -> Option<Self> {
        let (mut calls, mut idle_at) = (Vec::new(), now);
        let mut keep = |window: &mut Window, length: u64, class: LimitClass, is_burst: bool| {
            // Forgets what is over.
            window.left(0, length, now);
            for (last, count) in window.calls() {
                calls.push(RestingCalls { last, count, class, is_burst });
                idle_at = idle_at.max(last.saturating_add(length));
            }
        };
        for (class, counter) in counters.called() {
            let Some(quota) = &quotas[class as usize] else { continue };
            keep(&mut counter.window, quota.window(), class, false);
            if quota.burst.is_some() {
                keep(&mut counter.second, SECOND, class, true);
            }
        }
        (!calls.is_empty()).then(|| Self { calls: calls.into_boxed_slice(), idle_at })
    }

    /// Returns whether nothing is counted any more at the time `now`.
    #[must_use]
    pub fn is_idle(&self, now: u64) -> bool {
        self.idle_at <= now
    }

    /// Returns the number of calls that are counted.
    fn sum(&self) -> u32 {
        let counted = self.calls.iter().filter(|calls| !calls.is_burst);
        counted.fold(0, |sum, calls| sum.saturating_add(calls.count))
    }
}

impl From<RestingCounters> for CallerCounters {
    fn from(resting: RestingCounters) -> Self {
        let mut counters = Self::default();
        for RestingCalls { last, count, class, is_burst } in resting.calls {
            let counter = counters.counter(class);
            let window = if is_burst { &mut counter.second } else { &mut counter.window };
            window.append(last, count);
        }
        counters
    }
}

/// What silent callers have called, by a hash of their subject. The table holds a bounded number of them.
///
/// When it is full, those go first whose windows are over, which loses nothing, and then those with the fewest calls. So a
/// caller that wants `n` of its calls forgotten needs as many other subjects as the table holds, each with `n` calls.
#[derive(Debug)]
pub struct RestingTable {
    entries: HashMap<u64, RestingCounters>,
    capacity: usize,
    /// The number of entries at which the next one makes room.
    full_at: usize,
}

impl RestingTable {
    /// Returns an empty table for at most `capacity` callers.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { entries: HashMap::new(), capacity, full_at: MIN_GROWTH.min(capacity) }
    }

    /// Keeps what a caller has called.
    pub fn put(&mut self, caller: u64, counters: RestingCounters, now: u64) {
        if self.entries.len() >= self.full_at {
            self.make_room(now);
        }
        self.entries.insert(caller, counters);
    }

    /// Removes and returns what a caller has called; `None` if that is nothing.
    pub fn take(&mut self, caller: u64) -> Option<RestingCounters> {
        self.entries.remove(&caller)
    }

    /// Returns the number of callers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes callers until a quarter of the table is free. It is called once for a quarter of the table, or when the table
    /// has doubled, so it costs each entry little.
    fn make_room(&mut self, now: u64) {
        self.entries.retain(|_, counters| !counters.is_idle(now));
        let kept = self.capacity - self.capacity.div_ceil(4);
        if let Some(surplus) = self.entries.len().checked_sub(kept).filter(|surplus| *surplus > 0) {
            let mut sums: Vec<u32> = self.entries.values().map(RestingCounters::sum).collect();
            let (fewer, limit, _) = sums.select_nth_unstable(surplus - 1);
            let limit = *limit;
            // Of those with just as many calls, as many go as are needed.
            let mut equals = surplus - fewer.iter().filter(|sum| **sum < limit).count();
            self.entries.retain(|_, counters| {
                let sum = counters.sum();
                if sum == limit && equals > 0 {
                    equals -= 1;
                    return false;
                }
                sum >= limit
            });
        }
        self.full_at = (2 * self.entries.len() + MIN_GROWTH).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rules::Quota;
    use super::*;

    const MINUTE: u64 = 60 * SECOND;

    fn quotas() -> Quotas {
        let mut quotas = [None; LimitClass::COUNT];
        quotas[LimitClass::Read as usize] = Some(Quota::per_minute(5));
        quotas[LimitClass::Write as usize] = Some(Quota::per_minute(300));
        quotas[LimitClass::Snapshots as usize] = Some(Quota { limit: 3, window_s: 3600, burst: Some(2) });
        quotas
    }

    fn resting(calls: u32, now: u64) -> RestingCounters {
        let mut counters = CallerCounters::default();
        for _ in 0..calls {
            counters.count(LimitClass::Write, 1, &quotas(), now).expect("within the limit");
        }
        RestingCounters::new(&mut counters, &quotas(), now).expect("something is counted")
    }

    proptest! {
        /// A caller who rests at any moments is answered as one who never rests.
        #[test]
        fn rest_changes_no_answer(calls in prop::collection::vec((0..20 * SECOND, 0..3_usize, any::<bool>()), 1..200)) {
            let classes = [LimitClass::Read, LimitClass::Write, LimitClass::Snapshots];
            let (mut awake, mut rested, mut now) = (CallerCounters::default(), CallerCounters::default(), 0);
            for (gap, class, rests) in calls {
                now += gap;
                if rests {
                    let resting = RestingCounters::new(&mut rested, &quotas(), now);
                    prop_assert!(resting.as_ref().is_none_or(|resting| !resting.is_idle(now)));
                    rested = resting.map(CallerCounters::from).unwrap_or_default();
                }
                let expected = awake.count(classes[class], 1, &quotas(), now);
                prop_assert_eq!(rested.count(classes[class], 1, &quotas(), now), expected, "at {}", now);
            }
        }
    }

    #[test]
    fn a_caller_whose_windows_are_over_is_not_kept() {
        let mut counters = CallerCounters::default();
        counters.count(LimitClass::Read, 1, &quotas(), 7).expect("within the limit");
        assert!(RestingCounters::new(&mut counters, &quotas(), MINUTE + 6).is_some());
        assert!(RestingCounters::new(&mut counters, &quotas(), MINUTE + 7).is_none());
    }

    #[test]
    fn a_full_table_forgets_the_callers_with_the_fewest_calls() {
        let mut table = RestingTable::new(4_000);
        table.put(u64::MAX, resting(200, 0), 0);
        for caller in 0..100_000 {
            table.put(caller, resting(1 + (caller % 3) as u32, 1), 1);
            assert!(table.len() <= 4_000, "the table is bounded");
        }
        assert_eq!(table.take(u64::MAX), Some(resting(200, 0)));
        let kept = (0..100_000).filter(|caller| table.entries.contains_key(caller) && caller % 3 == 2).count();
        assert!(kept > 2_000, "{kept}");
        // When all windows are over, nothing is left of them.
        table.make_room(2 * MINUTE);
        assert!(table.is_empty());
    }
}
