//! Passivation in small pieces: actors that were idle long enough, and beyond the maximum number the longest idle.

use std::cell::RefCell;
use std::rc::Rc;

use super::shard::Shard;
use crate::profile::ProfileState;

/// Minimum number of actors that one tick looks at.
const MIN_PER_TICK: usize = 1_024;

impl Shard {
    /// Returns how many actors a tick looks at, so that each actor is looked at within half the idle time.
    pub(super) fn sweep_length(&self) -> usize {
        let capacity = self.slots.borrow().capacity();
        let per_tick = (2 * capacity).div_ceil(self.runtime.services.options.idle_ticks().max(1) as usize);
        per_tick.clamp(MIN_PER_TICK.min(capacity), capacity)
    }

    /// Passivates those of the next `actors` actors that were idle long enough, and removes closed outlets.
    pub(super) fn sweep(&self, actors: usize) {
        let idle = self.runtime.services.options.idle_ticks();
        for _ in 0..actors {
            let Some(state) = self.next_swept() else { continue };
            let mut state = state.borrow_mut();
            state.prune_outlets();
            if self.tick.get().saturating_sub(state.used_at()) >= idle {
                self.passivate(&mut state);
            }
        }
    }

    /// Brings the shard back within its share of the maximum number of live actors: the longest idle among the next
    /// actors are passivated.
    pub(super) fn enforce_max_actors(&self) {
        let max = self.runtime.services.options.max_live_actors.div_ceil(self.runtime.shards.len());
        let over = self.slots.borrow().len().saturating_sub(max);
        if over == 0 {
            return;
        }
        let capacity = self.slots.borrow().capacity();
        let looked_at = (2 * over).clamp(MIN_PER_TICK, 2 * MIN_PER_TICK).min(capacity);
        let mut oldest: Vec<_> = (0..looked_at).filter_map(|_| self.next_swept()).collect();
        oldest.sort_by_key(|state| state.borrow().used_at());
        oldest.iter().filter(|state| self.passivate(&mut state.borrow_mut())).take(over).for_each(drop);
    }

    fn next_swept(&self) -> Option<Rc<RefCell<ProfileState>>> {
        let slots = self.slots.borrow();
        let index = self.hand.get() % slots.capacity().max(1);
        self.hand.set(index + 1);
        slots.at(index)
    }
}
