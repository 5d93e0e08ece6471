//! Input for the comparisons.

#[path = "../random/mod.rs"]
mod random;

pub(crate) use random::Random;
use random::mix;

impl Random {
    /// Returns codes below `cardinality`; small ones are the frequent ones.
    pub(crate) fn codes(&mut self, rows: usize, cardinality: u32) -> Vec<u32> {
        let bound = u64::from(cardinality);
        (0..rows).map(|_| self.below(bound).min(self.below(bound)) as u32).collect()
    }

    /// Returns different keys.
    pub(crate) fn keys(&mut self, rows: usize) -> Vec<u64> {
        let first = self.next() >> 1;
        (0..rows as u64).map(|row| mix(first + row) & !(1 << 31) & !(1 << 63)).collect()
    }

    /// Returns texts of all lengths below `longest`, and where they start.
    pub(crate) fn texts(&mut self, rows: usize, longest: u64) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut starts) = (Vec::new(), vec![0]);
        for _ in 0..rows {
            let length = self.below(longest);
            bytes.extend((0..length).map(|_| self.next() as u8));
            starts.push(bytes.len() as u32);
        }
        (bytes, starts)
    }
}

/// Returns different keys that all want the same slot of a table with `slots` slots, as `class_sizes.cu` places them.
pub(crate) fn colliding_keys(rows: usize, slots: u64) -> Vec<u64> {
    let all = (0..).filter(|&key: &u64| mix(key).is_multiple_of(slots));
    all.take(rows).collect()
}
