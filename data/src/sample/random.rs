//! A small deterministic generator: splitmix64 (Steele, Lea, Flood 2014). Not for secrets.

/// Numbers that depend on the seed alone.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

/// A bijection of 64 bits that leaves no visible pattern.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Random {
    /// A generator of its own for each (seed, user, purpose).
    pub(super) fn new(seed: u64, user: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(user ^ mix(purpose.wrapping_add(1)))))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0. The bias of the multiplication is far below what a sample shows.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both possible.
    pub(super) fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(low.abs_diff(high) + 1) as i64
    }

    /// True `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of some.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A fraction with two decimals, as JSON.
    pub(super) fn fraction(&mut self, low_percent: i64, high_percent: i64) -> String {
        format!("0.{:02}", self.range(low_percent, high_percent))
    }

    /// `count` different ones, in the order of `from`.
    pub(super) fn some<T: Copy>(&mut self, from: &[T], count: usize) -> Vec<T> {
        let mut needed = count.min(from.len()) as u64;
        let mut left = from.len() as u64;
        let mut chosen = Vec::with_capacity(count);
        for item in from {
            if self.below(left) < needed {
                chosen.push(*item);
                needed -= 1;
            }
            left -= 1;
        }
        chosen
    }
}
