//! Which actors of a shard keep their state unpacked.

use crate::slots::SlotKey;

/// A bounded ring with a second chance (CLOCK): no timer and no list per actor.
#[derive(Debug)]
pub(crate) struct HotRing {
    ring: Vec<SlotKey>,
    hand: usize,
    capacity: usize,
}

impl HotRing {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), hand: 0, capacity: capacity.max(1) }
    }

    /// Takes a newcomer in, and asks `cool` about those in its way: `true` means that the actor is packed now (or
    /// gone), `false` that it was used since the hand last passed and stays.
    pub(crate) fn push(&mut self, newcomer: SlotKey, mut cool: impl FnMut(SlotKey) -> bool) {
        if self.ring.len() < self.capacity {
            self.ring.push(newcomer);
            return;
        }
        // Twice around at most: the first time takes every second chance.
        for _ in 0..2 * self.ring.len() {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.ring.len();
            if cool(self.ring[place]) {
                self.ring[place] = newcomer;
                return;
            }
        }
        // Nobody could be cooled: one over the bound rather than one forgotten.
        self.ring.push(newcomer);
    }
}
