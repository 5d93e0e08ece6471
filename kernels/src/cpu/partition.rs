//! Radix partitioning: rows whose keys may be equal come to lie together, so that a table over one partition stays
//! in the processor's cache however many rows the batch has.

/// Rows that a partition should have. Its table then takes some tens of kilobytes.
const ROWS_PER_PARTITION: usize = 4_096;

/// Maximum number of bits that name a partition. With more partitions, the write streams no longer fit into the
/// translation buffer (TLB).
const MOST_BITS: u32 = 9;

/// A bijection that spreads keys which differ in a few bits only over the highest bits: the multiplier is 2^64
/// divided by the golden ratio, made odd (Knuth, The Art of Computer Programming 3, 6.4).
pub(super) fn mix(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A plan for the keys of one batch: which partition each belongs to, and where the partitions lie.
pub(super) struct Plan {
    bits: u32,
    /// Where each partition starts; one entry more than partitions, the last is the number of rows.
    starts: Vec<usize>,
}

impl Plan {
    /// Counts the rows of each partition.
    pub(super) fn new(keys: &[u64]) -> Self {
        let bits = (keys.len() / ROWS_PER_PARTITION).checked_ilog2().unwrap_or(0).min(MOST_BITS);
        let mut plan = Self { bits, starts: vec![0; (1 << bits) + 1] };
        for &key in keys {
            let partition = plan.partition_of(key);
            plan.starts[partition + 1] += 1;
        }
        for partition in 1..plan.starts.len() {
            plan.starts[partition] += plan.starts[partition - 1];
        }
        plan
    }

    /// How many of a mixed key's highest bits name its partition.
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// The partition of a key.
    pub(super) fn partition_of(&self, key: u64) -> usize {
        // Shifted in two steps, because a shift by all 64 bits (one partition only) would overflow.
        ((mix(key) >> 1) >> (u64::BITS - 1 - self.bits)) as usize
    }

    /// The next free place of each partition, before anything was placed.
    pub(super) fn cursors(&self) -> Vec<usize> {
        self.starts[..self.starts.len() - 1].to_vec()
    }

    /// The keys, partition after partition, in the order of their rows within each.
    pub(super) fn scatter(&self, keys: &[u64]) -> Vec<u64> {
        let mut cursors = self.cursors();
        let mut placed = vec![0; keys.len()];
        for &key in keys {
            let cursor = &mut cursors[self.partition_of(key)];
            placed[*cursor] = key;
            *cursor += 1;
        }
        placed
    }

    /// Returns the range of each partition among the scattered keys.
    pub(super) fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.starts.windows(2).map(|pair| pair[0]..pair[1])
    }
}
