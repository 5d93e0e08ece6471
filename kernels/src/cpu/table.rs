//! Groups of equal keys, found with a hash table.

/// A bijection that spreads keys which differ in a few bits only over the highest bits: the multiplier is 2^64
/// divided by the golden ratio, made odd (Knuth, The Art of Computer Programming 3, 6.4).
fn mix(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The groups of the keys so far, in the order of their first keys.
pub(super) struct Groups {
    pub(super) keys: Vec<u64>,
    pub(super) sizes: Vec<u32>,
    /// An open-addressing table: a group's number plus one, or 0. It grows with the groups, not with the keys, so that it
    /// stays in the processor's cache where classes are large.
    slots: Vec<u32>,
}

impl Groups {
    const FEWEST_SLOTS: usize = 256;

    pub(super) fn new() -> Self {
        Self { keys: Vec::new(), sizes: Vec::new(), slots: vec![0; Self::FEWEST_SLOTS] }
    }

    /// Counts a key and returns its group.
    pub(super) fn count(&mut self, key: u64) -> u32 {
        let mut slot = self.first_slot(key);
        loop {
            match self.slots[slot].checked_sub(1) {
                Some(group) if self.keys[group as usize] == key => {
                    self.sizes[group as usize] += 1;
                    return group;
                }
                Some(_) => slot = (slot + 1) & (self.slots.len() - 1),
                None => return self.add(slot, key),
            }
        }
    }

    /// Adds a key as a group of its own, which later keys are not compared with.
    pub(super) fn append(&mut self, key: u64) -> u32 {
        let group = self.keys.len() as u32;
        self.keys.push(key);
        self.sizes.push(1);
        group
    }

    #[inline(never)]
    fn add(&mut self, slot: usize, key: u64) -> u32 {
        // Fits: there are no more groups than rows, and those fit.
        let group = self.keys.len() as u32;
        self.keys.push(key);
        self.sizes.push(1);
        self.slots[slot] = group + 1;
        if self.keys.len() * 2 > self.slots.len() {
            self.grow();
        }
        group
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        for (&key, group) in self.keys.iter().zip(1..) {
            let mut slot = self.first_slot(key);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = group;
        }
    }

    fn first_slot(&self, key: u64) -> usize {
        (mix(key) >> (u64::BITS - self.slots.len().ilog2())) as usize
    }
}
