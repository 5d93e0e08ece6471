//! When the actors with live subscribers follow a new day, spread over some time, and a new policy, at once.
//!
//! All other users are rolled to the new day when they are next read.

use std::sync::Arc;

use domain::access::Policy;
use domain::day::Day;

use crate::slots::SlotKey;

/// The actors that have not followed the new day yet.
#[derive(Debug)]
pub(crate) struct DayRoller {
    day: Day,
    /// The policy at the last tick. Compared by address: if another policy came and went since, some actors have followed
    /// it, although the table is the same again.
    policy: Arc<Policy>,
    todo: Vec<SlotKey>,
    per_tick: usize,
    ticks: u32,
}

impl DayRoller {
    /// Returns a roller that spreads each new day over `ticks`.
    pub(crate) fn new(day: Day, policy: Arc<Policy>, ticks: u32) -> Self {
        Self { day, policy, todo: Vec::new(), per_tick: 0, ticks }
    }

    /// Adds an actor that could not follow the day, as the system was too busy.
    pub(crate) fn again(&mut self, slot: SlotKey) {
        self.todo.insert(0, slot);
        self.per_tick = self.per_tick.max(1);
    }

    /// Returns the actors that must follow the day or the policy now. `watched` returns all actors with live subscribers;
    /// it is called only if the day or the policy is new.
    pub(crate) fn due(
        &mut self,
        today: Day,
        policy: &Arc<Policy>,
        watched: impl FnOnce() -> Vec<SlotKey>,
    ) -> Vec<SlotKey> {
        if !Arc::ptr_eq(policy, &self.policy) {
            // The new policy may withdraw something, so nobody waits.
            self.policy = Arc::clone(policy);
            self.day = self.day.max(today);
            self.todo.clear();
            return watched();
        }
        if today > self.day {
            self.day = today;
            self.todo = watched();
            self.per_tick = self.todo.len().div_ceil(self.ticks as usize);
        }
        let rest = self.todo.len().saturating_sub(self.per_tick);
        self.todo.split_off(rest)
    }
}

#[cfg(test)]
mod tests {
    use domain::access::AccessRules;

    use super::*;
    use crate::slots::Slots;

    fn policy() -> Arc<Policy> {
        Arc::new(Policy::compile(&AccessRules::default()).expect("an empty table"))
    }

    fn keys(count: usize) -> Vec<SlotKey> {
        let mut slots = Slots::default();
        (0..count).map(|_| *slots.insert(|slot| slot).borrow()).collect()
    }

    #[test]
    fn a_new_day_is_spread_over_the_ticks_and_reaches_every_actor() {
        let watched = keys(10);
        let policy = policy();
        let mut roller = DayRoller::new(Day(1), Arc::clone(&policy), 4);
        assert!(roller.due(Day(1), &policy, || panic!("the day did not turn")).is_empty());
        let mut rolled: Vec<usize> = Vec::new();
        rolled.push(roller.due(Day(2), &policy, || watched.clone()).len());
        rolled.extend((0..4).map(|_| roller.due(Day(2), &policy, || panic!("the day turned already")).len()));
        assert_eq!(rolled, [3, 3, 3, 1, 0]);
    }

    #[test]
    fn a_new_policy_reaches_every_actor_at_once() {
        let watched = keys(10);
        let policy = policy();
        let mut roller = DayRoller::new(Day(1), Arc::clone(&policy), 4);
        // The same table, but loaded again: there may have been another in between.
        assert_eq!(roller.due(Day(1), &self::policy(), || watched.clone()).len(), 10);
    }
}
