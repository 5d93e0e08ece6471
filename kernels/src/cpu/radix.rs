//! The first step of a sort by 64-bit keys: buckets of a size that is sorted within the processor's cache.

/// Bits of the digit that chooses a bucket: 2,048 buckets, whose write streams fit into the second-level cache.
const BITS: u32 = 11;

/// Number of entries that are one bucket.
const FEWEST: usize = 1 << 14;

/// Brings entries into the order of the highest bits in which keys differ, and returns the buckets of entries that have these
/// bits in common. Takes a second array of the same size.
pub(super) fn buckets<T: Copy>(entries: &mut Vec<T>, key: impl Fn(&T) -> u64) -> Vec<&mut [T]> {
    if entries.len() < FEWEST {
        return vec![entries];
    }
    let first = key(&entries[0]);
    let differing = entries.iter().fold(0, |bits, entry| bits | (key(entry) ^ first));
    let shift = (u64::BITS - differing.leading_zeros()).saturating_sub(BITS);
    // Higher bits are the same in all keys.
    let digit = |entry: &T| (key(entry) >> shift & ((1 << BITS) - 1)) as usize;

    let mut sizes = vec![0; 1 << BITS];
    for entry in entries.iter() {
        sizes[digit(entry)] += 1;
    }
    let mut next = Vec::with_capacity(sizes.len());
    let mut start = 0;
    for size in &sizes {
        next.push(start);
        start += size;
    }
    let mut placed = entries.clone();
    for entry in entries.iter() {
        let place = &mut next[digit(entry)];
        placed[*place] = *entry;
        *place += 1;
    }
    *entries = placed;

    let mut rest = entries.as_mut_slice();
    let mut buckets = Vec::new();
    for size in sizes.into_iter().filter(|&size| size > 0) {
        let (bucket, more) = rest.split_at_mut(size);
        buckets.push(bucket);
        rest = more;
    }
    buckets
}
