//! A shard's actors by number: what the commit thread's outcomes, the hot ring and the sweep find them by.

use std::cell::RefCell;
use std::rc::Rc;

use crate::profile::Core;

/// An actor's place in its shard. A place that is used again gets another incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotKey {
    index: u32,
    incarnation: u32,
}

/// The places of one shard.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    incarnation: u32,
    core: Option<Rc<RefCell<Core>>>,
}

impl Slots {
    /// Makes a core in a free place.
    pub(crate) fn insert(&mut self, make: impl FnOnce(SlotKey) -> Core) -> Rc<RefCell<Core>> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let core = Rc::new(RefCell::new(make(SlotKey { index, incarnation: slot.incarnation })));
        slot.core = Some(Rc::clone(&core));
        core
    }

    /// Frees a place. Nothing that still names it will find another actor there.
    pub(crate) fn remove(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key.index as usize).filter(|slot| slot.incarnation == key.incarnation)
            && slot.core.take().is_some()
        {
            slot.incarnation = slot.incarnation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// The core in that place, if it is still the one that the key was made for.
    pub(crate) fn get(&self, key: SlotKey) -> Option<Rc<RefCell<Core>>> {
        let slot = self.slots.get(key.index as usize).filter(|slot| slot.incarnation == key.incarnation)?;
        slot.core.clone()
    }

    /// The core at a bare position, whoever it is.
    pub(crate) fn at(&self, position: usize) -> Option<Rc<RefCell<Core>>> {
        self.slots.get(position)?.core.clone()
    }

    /// How many positions there are, free ones too.
    pub(crate) fn positions(&self) -> usize {
        self.slots.len()
    }

    /// How many actors there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
