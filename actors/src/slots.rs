//! A shard's actors by number. Outcomes of commits, the hot ring and the sweep name an actor by its number.

use std::cell::RefCell;
use std::rc::Rc;

/// The number of an actor in its shard. An index that is used again gets another incarnation, so an old key never finds
/// the new actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotKey {
    index: u32,
    incarnation: u32,
}

/// The slots of one shard. Each holds the state of one actor, or is free.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    incarnation: u32,
    state: Option<Rc<RefCell<T>>>,
}

impl<T> Slots<T> {
    /// Puts a new state into a free slot. `make` receives the slot's key.
    pub(crate) fn insert(&mut self, make: impl FnOnce(SlotKey) -> T) -> Rc<RefCell<T>> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { incarnation: 0, state: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let state = Rc::new(RefCell::new(make(SlotKey { index, incarnation: slot.incarnation })));
        slot.state = Some(Rc::clone(&state));
        state
    }

    /// Frees a slot. From then on its key finds nothing.
    pub(crate) fn remove(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key.index as usize).filter(|slot| slot.incarnation == key.incarnation)
            && slot.state.take().is_some()
        {
            slot.incarnation = slot.incarnation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// Returns the state that `key` was made for; `None` if its slot was freed since.
    pub(crate) fn get(&self, key: SlotKey) -> Option<Rc<RefCell<T>>> {
        let slot = self.slots.get(key.index as usize).filter(|slot| slot.incarnation == key.incarnation)?;
        slot.state.clone()
    }

    /// Returns the state at an index, of any incarnation.
    pub(crate) fn at(&self, index: usize) -> Option<Rc<RefCell<T>>> {
        self.slots.get(index)?.state.clone()
    }

    /// Returns the number of slots, free ones included.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Returns the number of actors.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_find_the_next_actor_in_its_slot() {
        let mut slots = Slots::default();
        let key = *slots.insert(|key| key).borrow();
        assert!(slots.get(key).is_some());
        slots.remove(key);
        let next = *slots.insert(|key| key).borrow();
        assert!(slots.get(key).is_none());
        assert_eq!(slots.get(next).map(|state| *state.borrow()), Some(next));
        slots.remove(key);
        assert_eq!((slots.len(), slots.capacity()), (1, 1), "an old key frees nothing");
    }
}
