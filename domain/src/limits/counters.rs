//! The windows of one caller.

use super::rules::{LimitClass, Quota, Quotas};
use super::window::Window;

/// Length of the log of a caller's window: limits up to it are exact to the microsecond.
const CELLS: u32 = 128;
/// The length of the window of bursts, in microseconds.
pub(super) const SECOND: u64 = 1_000_000;

/// What a caller has called, by class. Classes that were never called take no memory.
#[derive(Debug, Default)]
pub struct CallerCounters([Option<Box<ClassCounter>>; LimitClass::COUNT]);

#[derive(Debug, Default)]
pub(super) struct ClassCounter {
    pub(super) window: Window,
    /// The calls within the last second, where the quota has a burst.
    pub(super) second: Window,
}

/// A call that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The class with the fewest calls left, of those that count the call.
    pub class: LimitClass,
    /// How many calls are left in that class.
    pub left: u32,
}

/// A call that was not allowed, and not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The class whose limit was reached.
    pub class: LimitClass,
    /// How many microseconds remain until the call would be allowed.
    pub wait: u64,
}

impl CallerCounters {
    /// Counts `count` calls of a class at the time `now`, in the class and the one that it belongs to. Returns `None` if
    /// nothing counts them.
    ///
    /// # Errors
    /// One of the limits was reached. Nothing is counted.
    pub fn count(
        &mut self,
        class: LimitClass,
        count: u32,
        quotas: &Quotas,
        now: u64,
    ) -> Result<Option<Allowed>, Exceeded> {
        let mut allowed: Option<Allowed> = None;
        let counted = [Some(class), class.parent()];
        let counted = counted.into_iter().flatten().filter_map(|class| Some((class, quotas[class as usize]?)));
        for (class, quota) in counted.clone() {
            let left = self.counter(class).check(&quota, count, now).map_err(|wait| Exceeded { class, wait })?;
            if allowed.is_none_or(|fewest| left < fewest.left) {
                allowed = Some(Allowed { class, left });
            }
        }
        for (class, quota) in counted {
            self.counter(class).add(&quota, count, now);
        }
        Ok(allowed)
    }

    /// Returns whether nothing is counted any more at the time `now`.
    #[must_use]
    pub fn is_idle(&self, quotas: &Quotas, now: u64) -> bool {
        let used =
            self.0.iter().zip(quotas).filter_map(|(counter, quota)| Some((counter.as_deref()?, quota.as_ref()?)));
        used.into_iter().all(|(counter, quota)| counter.window.is_idle(quota.window(), now))
    }

    /// Returns the counters of the classes that were called.
    pub(super) fn called(&mut self) -> impl Iterator<Item = (LimitClass, &mut ClassCounter)> {
        let counters = LimitClass::ALL.into_iter().zip(&mut self.0);
        counters.filter_map(|(class, counter)| Some((class, counter.as_deref_mut()?)))
    }

    pub(super) fn counter(&mut self, class: LimitClass) -> &mut ClassCounter {
        self.0[class as usize].get_or_insert_default()
    }
}

impl ClassCounter {
    /// Returns how many calls are left after `count` more, or how long to wait for them.
    fn check(&mut self, quota: &Quota, count: u32, now: u64) -> Result<u32, u64> {
        let left = self.window.left(quota.limit, quota.window(), now);
        if left < count {
            return Err(self.window.wait(count, quota.limit, quota.window(), now));
        }
        if let Some(burst) = quota.burst
            && self.second.left(burst, SECOND, now) < count
        {
            return Err(self.second.wait(count, burst, SECOND, now));
        }
        Ok(left - count)
    }

    fn add(&mut self, quota: &Quota, count: u32, now: u64) {
        self.window.add(count, quota.limit, quota.window(), CELLS, now);
        if let Some(burst) = quota.burst {
            self.second.add(count, burst, SECOND, CELLS, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        let mut quotas = [None; LimitClass::COUNT];
        quotas[LimitClass::Write as usize] = Some(Quota::per_minute(5));
        quotas[LimitClass::Snapshots as usize] = Some(Quota { limit: 3, window_s: 3600, burst: Some(2) });
        quotas
    }

    #[test]
    fn a_call_counts_in_its_class_and_in_the_one_above() {
        let (mut counters, quotas) = (CallerCounters::default(), quotas());
        let mut snapshot = |now: u64| counters.count(LimitClass::Snapshots, 1, &quotas, now);
        assert_eq!(snapshot(0), Ok(Some(Allowed { class: LimitClass::Snapshots, left: 2 })));
        assert_eq!(snapshot(1), Ok(Some(Allowed { class: LimitClass::Snapshots, left: 1 })));
        let burst = Exceeded { class: LimitClass::Snapshots, wait: SECOND - 2 };
        assert_eq!(snapshot(2), Err(burst), "two in a second");
        assert_eq!(snapshot(SECOND), Ok(Some(Allowed { class: LimitClass::Snapshots, left: 0 })));
        assert_eq!(snapshot(5 * SECOND), Err(Exceeded { class: LimitClass::Snapshots, wait: 3595 * SECOND }));
        let mut write =
            |now: u64| counters.count(LimitClass::Write, 1, &quotas, now).map(|allowed| allowed.map(|a| a.left));
        assert_eq!((write(5 * SECOND), write(5 * SECOND)), (Ok(Some(1)), Ok(Some(0))));
        assert_eq!(write(6 * SECOND).map_err(|exceeded| exceeded.class), Err(LimitClass::Write));
        assert!(!counters.is_idle(&quotas, 3600 * SECOND) && counters.is_idle(&quotas, 3601 * SECOND));
    }

    #[test]
    fn a_call_that_is_refused_by_one_class_is_counted_in_none() {
        let (mut counters, quotas) = (CallerCounters::default(), quotas());
        for _ in 0..5 {
            assert!(counters.count(LimitClass::Write, 1, &quotas, 0).is_ok());
        }
        for _ in 0..10 {
            assert!(counters.count(LimitClass::Snapshots, 1, &quotas, 1).is_err());
        }
        assert!(
            counters.count(LimitClass::Snapshots, 1, &quotas, 60 * SECOND).is_ok(),
            "the hour has not counted them"
        );
    }

    #[test]
    fn a_class_without_a_quota_is_not_counted() {
        let mut counters = CallerCounters::default();
        assert_eq!(counters.count(LimitClass::Feed, 1_000_000, &quotas(), 0), Ok(None));
        assert!(counters.0.iter().all(Option::is_none));
    }
}
