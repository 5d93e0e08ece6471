//! Which actors of a shard are hot: they keep their state unpacked.

use crate::slots::SlotKey;

/// A bounded ring with a second chance (the CLOCK algorithm): it needs no timer and no list per actor.
#[derive(Debug)]
pub(crate) struct HotRing {
    ring: Vec<SlotKey>,
    hand: usize,
    capacity: usize,
}

impl HotRing {
    /// Returns an empty ring for `capacity` actors, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), hand: 0, capacity: capacity.max(1) }
    }

    /// Adds an actor. If the ring is full, it takes the place of the first one that `cool` returns `true` for: that
    /// actor is not hot any more. `false` means that it was used since the hand last passed, and stays.
    pub(crate) fn push(&mut self, newcomer: SlotKey, mut cool: impl FnMut(SlotKey) -> bool) {
        if self.ring.len() < self.capacity {
            self.ring.push(newcomer);
            return;
        }
        // Two rounds suffice: after the first, no actor has its second chance left.
        for _ in 0..2 * self.ring.len() {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.ring.len();
            if cool(self.ring[place]) {
                self.ring[place] = newcomer;
                return;
            }
        }
        // No actor could go: one over the capacity is better than one that is never packed.
        self.ring.push(newcomer);
    }
}
