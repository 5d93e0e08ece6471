//! The right edge of a tree: the roots of its complete subtrees, from which it grows.

use super::{TreeHash, empty_root, node_hash};

/// The complete subtrees of a tree of some size, the largest first: one for each bit that is set in the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// Returns the frontier of a tree of `size` leaves with these subtrees, the largest first.
    pub(super) fn new(size: u64, peaks: Vec<TreeHash>) -> Self {
        debug_assert_eq!(peaks.len(), size.count_ones() as usize, "a subtree for each bit");
        Self { size, peaks }
    }

    /// Returns the number of leaves.
    pub(in crate::audit) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. `complete` receives the hash of the leaf and of each node that becomes complete with it, from below.
    pub(in crate::audit) fn push(&mut self, leaf: TreeHash, mut complete: impl FnMut(&TreeHash)) {
        let mut hash = leaf;
        complete(&hash);
        for _ in 0..self.size.trailing_ones() {
            // There is a subtree for each bit that is set.
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            complete(&hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Returns the hash of the tree.
    pub(in crate::audit) fn root(&self) -> TreeHash {
        let join = |right: TreeHash, left: &TreeHash| node_hash(left, &right);
        match self.peaks.split_last() {
            Some((last, rest)) => rest.iter().rev().fold(*last, join),
            None => empty_root(),
        }
    }
}
