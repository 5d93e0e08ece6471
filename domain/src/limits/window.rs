//! A sliding window, as a log of calls.

use std::collections::VecDeque;

/// A log of the calls within a sliding window.
///
/// A limit up to the number of cells is exact: every call is forgotten when it is one window old. Of a greater limit, calls
/// within one cell are forgotten together with the last of them. So a window never lets more calls through than its limit
/// within any span of its length, and forgets a call at most one cell late.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Window {
    /// Calls, oldest first.
    calls: VecDeque<Calls>,
    /// Number of all calls in the log.
    sum: u32,
}

/// Calls that are forgotten together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calls {
    /// The time of the last of them.
    last: u64,
    count: u32,
}

impl Window {
    /// Returns how many calls are left at the time `now`, of `limit` within `length` microseconds.
    pub fn left(&mut self, limit: u32, length: u64, now: u64) -> u32 {
        while let Some(oldest) = self.calls.front().filter(|calls| calls.last.saturating_add(length) <= now) {
            self.sum -= oldest.count;
            self.calls.pop_front();
        }
        limit.saturating_sub(self.sum)
    }

    /// Adds `count` calls at the time `now`, which [`Self::left`] has allowed. `cells` bounds the length of the log.
    pub fn add(&mut self, count: u32, limit: u32, length: u64, cells: u32, now: u64) {
        let cell = if limit <= cells { 1 } else { (length / u64::from(cells)).max(1) };
        self.sum = self.sum.saturating_add(count);
        match self.calls.back_mut() {
            // Another thread may have read the clock later and come first.
            Some(calls) if now <= calls.last || now / cell == calls.last / cell => {
                calls.last = calls.last.max(now);
                calls.count = calls.count.saturating_add(count);
            }
            _ => self.calls.push_back(Calls { last: now, count }),
        }
    }

    /// Returns after how many microseconds `count` calls will be left, if none come before. A count above the limit never
    /// fits, and the answer is the length of the window.
    #[must_use]
    pub fn wait(&self, count: u32, limit: u32, length: u64, now: u64) -> u64 {
        if count > limit {
            return length;
        }
        let mut missing = i64::from(self.sum) + i64::from(count) - i64::from(limit);
        for calls in &self.calls {
            if missing <= 0 {
                break;
            }
            missing -= i64::from(calls.count);
            if missing <= 0 {
                return calls.last.saturating_add(length).saturating_sub(now);
            }
        }
        0
    }

    /// Returns the calls in the log, oldest first: those that are forgotten together, with the time of the last of them.
    pub(super) fn calls(&self) -> impl Iterator<Item = (u64, u32)> {
        self.calls.iter().map(|calls| (calls.last, calls.count))
    }

    /// Appends calls that [`Self::calls`] has returned, in their order.
    pub(super) fn append(&mut self, last: u64, count: u32) {
        self.sum = self.sum.saturating_add(count);
        self.calls.push_back(Calls { last, count });
    }

    /// Returns whether the window has forgotten all calls at the time `now`.
    #[must_use]
    pub fn is_idle(&self, length: u64, now: u64) -> bool {
        self.calls.back().is_none_or(|calls| calls.last.saturating_add(length) <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const MINUTE: u64 = 60 * SECOND;

    fn take(window: &mut Window, limit: u32, now: u64) -> bool {
        let allowed = window.left(limit, MINUTE, now) > 0;
        if allowed {
            window.add(1, limit, MINUTE, 128, now);
        }
        allowed
    }

    #[test]
    fn the_last_allowed_call_passes_and_the_next_does_not() {
        for limit in [1, 10, 100, 128, 129, 1_000, 600_000] {
            let mut window = Window::default();
            for call in 0..limit {
                assert!(take(&mut window, limit, u64::from(call)), "call {call} of {limit}");
            }
            assert!(!take(&mut window, limit, u64::from(limit)), "one more than {limit}");
            assert!(window.calls.len() <= 130);
        }
    }

    #[test]
    fn a_call_is_forgotten_when_it_is_one_window_old_and_not_before() {
        let mut window = Window::default();
        assert!(take(&mut window, 2, 10) && take(&mut window, 2, 20) && !take(&mut window, 2, 30));
        assert_eq!(window.wait(1, 2, MINUTE, 30), MINUTE - 20);
        assert_eq!(window.wait(2, 2, MINUTE, 30), MINUTE - 10);
        assert_eq!(window.wait(3, 2, MINUTE, 30), MINUTE, "three never fit");
        assert!(!take(&mut window, 2, MINUTE + 9));
        assert!(take(&mut window, 2, MINUTE + 10) && !take(&mut window, 2, MINUTE + 10));
    }

    /// A limit, the time until the next call, and the number of calls in it.
    fn calls() -> impl Strategy<Value = (u32, Vec<(u64, u32)>)> {
        let gap = prop_oneof![0..3_u64, 0..SECOND, 0..10 * SECOND, 0..2 * MINUTE];
        (prop_oneof![1..20_u32, 100..400_u32], prop::collection::vec((gap, 1..30_u32), 1..300))
    }

    proptest! {
        /// Against a log of every single call: a window allows nothing that the log refuses, and refuses what the log
        /// allows only within one cell, and never for exact limits.
        #[test]
        fn it_allows_what_a_log_of_all_calls_allows((limit, calls) in calls(), cells in prop_oneof![Just(32_u32), Just(128)]) {
            let (mut window, mut log, mut now) = (Window::default(), Vec::<u64>::new(), 0);
            let cell = if limit <= cells { 0 } else { MINUTE / u64::from(cells) };
            for (gap, count) in calls {
                now += gap;
                let within = |age: u64, log: &[u64]| log.iter().filter(|time| **time + age > now).count() as u32;
                let allowed = window.left(limit, MINUTE, now) >= count;
                if allowed {
                    prop_assert!(within(MINUTE, &log) + count <= limit, "at {now}");
                } else {
                    prop_assert!(within(MINUTE + cell, &log) + count > limit, "at {now}");
                    let wait = window.wait(count, limit, MINUTE, now);
                    if count <= limit {
                        let mut later = window.clone();
                        prop_assert!(later.left(limit, MINUTE, now + wait) >= count, "the wait is long enough");
                        prop_assert!(wait > 0 && later_is_needed(&window, count, limit, now + wait - 1), "and not longer");
                    }
                }
                if allowed {
                    window.add(count, limit, MINUTE, cells, now);
                    log.extend(std::iter::repeat_n(now, count as usize));
                }
                prop_assert!(window.calls.len() as u32 <= cells + 2);
                prop_assert_eq!(window.sum, window.calls.iter().map(|calls| calls.count).sum::<u32>());
            }
        }

        /// A limit that changes while calls are counted keeps what was counted.
        #[test]
        fn a_changed_limit_keeps_the_count(first in 1..300_u32, second in 1..300_u32) {
            let mut window = Window::default();
            for call in 0..first {
                prop_assert!(take(&mut window, first, u64::from(call) * 1_000));
            }
            prop_assert_eq!(window.left(second, MINUTE, SECOND), second.saturating_sub(first));
        }
    }

    fn later_is_needed(window: &Window, count: u32, limit: u32, now: u64) -> bool {
        window.clone().left(limit, MINUTE, now) < count
    }
}
