//! Passivation: in small steps, by age, and over the bound the oldest first.

use super::Local;

/// The most actors that one step looks at.
const STEP: usize = 1_024;

impl Local {
    /// How many actors are to be looked at in a tick: so many that each is looked at within half the idle time.
    pub(super) fn sweep_length(&self) -> usize {
        let positions = self.slots.borrow().positions();
        let per_tick = (2 * positions).div_ceil(self.shared.options.idle_ticks().max(1) as usize);
        per_tick.clamp(STEP.min(positions), positions)
    }

    /// Looks at the next actors for those that were idle long enough, and for closed outlets.
    pub(super) fn sweep(&self, actors: usize) {
        let idle = self.shared.options.idle_ticks();
        for _ in 0..actors {
            let Some(core) = self.next() else { continue };
            let mut core = core.borrow_mut();
            core.prune_outlets();
            if self.tick.get().saturating_sub(core.used_at()) >= idle {
                core.passivate(self);
            }
        }
    }

    /// Brings the shard back within its share of the bound on live actors: of the next few, the longest idle go.
    pub(crate) fn make_room(&self) {
        let bound = self.shared.options.max_live_actors.div_ceil(self.shared.shards.len());
        let over = self.slots.borrow().len().saturating_sub(bound);
        if over == 0 {
            return;
        }
        let positions = self.slots.borrow().positions();
        let mut oldest: Vec<_> =
            (0..(2 * over).clamp(STEP, 2 * STEP).min(positions)).filter_map(|_| self.next()).collect();
        oldest.sort_by_key(|core| core.borrow().used_at());
        oldest.iter().filter(|core| core.borrow_mut().passivate(self)).take(over).for_each(drop);
    }

    fn next(&self) -> Option<std::rc::Rc<std::cell::RefCell<crate::profile::Core>>> {
        let slots = self.slots.borrow();
        let position = self.hand.get() % slots.positions().max(1);
        self.hand.set(position + 1);
        slots.at(position)
    }
}
