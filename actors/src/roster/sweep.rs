//! Passivation: in small steps, by age, and over the bound the oldest first.

use super::Local;

/// The most actors that one step looks at.
const STEP: usize = 1_024;

impl Local {
    /// Looks at the next actors for those that were idle long enough, and for closed outlets.
    pub(crate) fn sweep(&self) {
        let idle = self.shared.options.idle_ticks();
        let positions = self.slots.borrow().positions();
        // Often enough that everybody is looked at within half the idle time.
        let per_tick = (2 * positions).div_ceil(idle.max(1) as usize);
        for _ in 0..per_tick.clamp(STEP.min(positions), positions) {
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
        let mut oldest: Vec<_> = (0..STEP.max(2 * over).min(positions)).filter_map(|_| self.next()).collect();
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
