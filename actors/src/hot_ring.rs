//! Which actors of a shard are hot: they keep their state unpacked.

use crate::slots::SlotKey;

/// Maximum number of actors that the hand passes for one newcomer. Mostly it passes two. If it finds no place, the ring is
/// too long for a while, and makes up for it at the next newcomers.
const MAX_VISITS: usize = 128;

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
    /// actor is not hot any more. `false` means that it was used since the hand last passed, or is needed now, and stays.
    pub(crate) fn push(&mut self, newcomer: SlotKey, mut cool: impl FnMut(SlotKey) -> bool) {
        // In two rounds, no actor has its second chance left after the first.
        for _ in 0..MAX_VISITS.min(2 * self.ring.len()) {
            if self.ring.len() < self.capacity {
                break;
            }
            let place = self.hand % self.ring.len();
            self.hand = place + 1;
            if !cool(self.ring[place]) {
                continue;
            }
            if self.ring.len() == self.capacity {
                self.ring[place] = newcomer;
                return;
            }
            // It grew beyond the capacity when no actor could go. The last one comes to this place, and is looked at next.
            self.ring.swap_remove(place);
            self.hand = place;
        }
        // If no actor could go, one over the capacity is better than one that is never packed.
        self.ring.push(newcomer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn a_ring_that_grew_shrinks_when_actors_can_go_again() {
        let mut slots = Slots::default();
        let keys: Vec<SlotKey> = (0..10).map(|_| *slots.insert(|slot| slot).borrow()).collect();
        let mut ring = HotRing::new(2);
        keys[..6].iter().for_each(|key| ring.push(*key, |_| false));
        assert_eq!(ring.ring, keys[..6], "none could go");
        let mut gone = Vec::new();
        ring.push(keys[6], |key| {
            gone.push(key);
            true
        });
        assert_eq!((ring.ring.len(), gone.len()), (2, 5));
        assert!(ring.ring.contains(&keys[6]) && gone.iter().all(|key| !ring.ring.contains(key)));
        ring.push(keys[7], |key| key != keys[6]);
        assert!(ring.ring.contains(&keys[6]) && ring.ring.contains(&keys[7]), "the one that must stay stays");
    }
}
