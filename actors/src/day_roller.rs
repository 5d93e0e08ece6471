//! The turn of the day for users with live subscribers, spread over a while; and the turn of the policy, at once.
//!
//! Everybody else is rolled when next looked at.

use std::sync::Arc;

use domain::access::Policy;
use domain::day::Day;

use crate::roster::Local;
use crate::slots::SlotKey;

/// What of a turn is still to do.
#[derive(Debug)]
pub(crate) struct DayRoller {
    day: Day,
    /// The one that was loaded last. One that came and went since has left its mark on some, though the table is the same.
    policy: Arc<Policy>,
    todo: Vec<SlotKey>,
    per_tick: usize,
    ticks: u32,
}

impl DayRoller {
    /// Spreads each turn of the day over `ticks`.
    pub(crate) fn new(day: Day, policy: Arc<Policy>, ticks: u32) -> Self {
        Self { day, policy, todo: Vec::new(), per_tick: 0, ticks }
    }

    /// Gives an actor that was too busy another turn.
    fn again(&mut self, slot: SlotKey) {
        self.todo.insert(0, slot);
        self.per_tick = self.per_tick.max(1);
    }

    /// The actors whose turn it is. `watched` lists all with live subscribers; it is asked for on a turn only.
    fn due(&mut self, today: Day, policy: &Arc<Policy>, watched: impl FnOnce() -> Vec<SlotKey>) -> Vec<SlotKey> {
        if !Arc::ptr_eq(policy, &self.policy) {
            // Something may be withdrawn: nobody waits for their turn.
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

impl Local {
    /// The actors with live subscribers that are to follow a new day or policy now.
    pub(crate) fn due(&self) -> Vec<SlotKey> {
        let (today, policy) = (self.shared.today(), self.shared.policy.load_full());
        let watched = || {
            let slots = self.slots.borrow();
            let cores = (0..slots.positions()).filter_map(|position| slots.at(position));
            cores.filter(|core| core.borrow().outlets() > 0).map(|core| core.borrow().slot()).collect()
        };
        self.roller.borrow_mut().due(today, &policy, watched)
    }

    /// Has one actor's subscribers follow the day and the policy; later, if the system is too busy for the day.
    pub(crate) fn refresh(&self, slot: SlotKey) {
        if self.with(slot, |core| core.refresh_outlets(self)) == Some(false) {
            self.roller.borrow_mut().again(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::access::AccessRules;

    use super::*;
    use crate::profile::Core;
    use crate::slots::Slots;

    fn policy() -> Arc<Policy> {
        Arc::new(Policy::compile(&AccessRules::default()).expect("an empty table"))
    }

    fn keys(count: usize) -> Vec<SlotKey> {
        let mut slots = Slots::default();
        (0..count).map(|_| slots.insert(Core::idle).borrow().slot()).collect()
    }

    #[test]
    fn a_turn_of_the_day_is_spread_and_everybody_has_a_turn() {
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
    fn a_new_policy_is_everybodys_turn_at_once() {
        let watched = keys(10);
        let policy = policy();
        let mut roller = DayRoller::new(Day(1), Arc::clone(&policy), 4);
        // The same table, loaded anew: between the two there may have been another.
        assert_eq!(roller.due(Day(1), &self::policy(), || watched.clone()).len(), 10);
    }
}
