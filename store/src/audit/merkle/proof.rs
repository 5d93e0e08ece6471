//! Inclusion and consistency proofs (RFC 9162, sections 2.1.3 and 2.1.4).

use std::io;

use super::{TreeHash, empty_root, node_hash};

/// Complete nodes of a tree, by level (0 are the leaves) and number in the level (from 0).
pub(in crate::audit) trait NodeSource {
    /// Returns the hash of a complete node.
    fn node(&self, level: u32, index: u64) -> io::Result<TreeHash>;
}

/// Returns the hash of the tree of the first `size` leaves.
pub(in crate::audit) fn root(nodes: &dyn NodeSource, size: u64) -> io::Result<TreeHash> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

/// Returns the hash of the tree over the leaves from `start` to `end`, which are not empty. `start` is a multiple of a power
/// of two that is not smaller than their number.
fn subtree(nodes: &dyn NodeSource, start: u64, end: u64) -> io::Result<TreeHash> {
    let leaves = end - start;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros();
        return nodes.node(level, start >> level);
    }
    let middle = start + split(leaves);
    Ok(node_hash(&subtree(nodes, start, middle)?, &subtree(nodes, middle, end)?))
}

/// Returns the number of leaves left of the root: the greatest power of two below `leaves`, of which there are two or more.
fn split(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - (leaves - 1).leading_zeros())
}

/// Returns the inclusion proof of a leaf in the tree of the first `size` leaves, from below. `leaf` is less than `size`.
pub(in crate::audit) fn inclusion(nodes: &dyn NodeSource, leaf: u64, size: u64) -> io::Result<Vec<TreeHash>> {
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if leaf < middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Returns the proof that the tree of the first `old` leaves is the start of the tree of the first `new` leaves, from below.
/// Empty if `old` is 0 or equal to `new`. `old` is at most `new`.
pub(in crate::audit) fn consistency(nodes: &dyn NodeSource, old: u64, new: u64) -> io::Result<Vec<TreeHash>> {
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    // Whether the old tree is this subtree as a whole, whose hash the verifier then knows.
    let (mut start, mut end, mut is_known) = (0, new, true);
    while old < end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, start, middle)?);
            (start, is_known) = (middle, false);
        }
    }
    if !is_known {
        path.push(subtree(nodes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Returns whether `proof` shows that the leaf with the hash `leaf_hash` is leaf number `leaf` (from 0) of the tree of `size`
/// leaves with this root.
pub fn verify_inclusion(leaf_hash: &TreeHash, leaf: u64, size: u64, proof: &[TreeHash], root: &TreeHash) -> bool {
    if leaf >= size {
        return false;
    }
    let (mut number, mut last, mut hash) = (leaf, size - 1, *leaf_hash);
    for other in proof {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            hash = node_hash(other, &hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, other);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Returns whether `proof` shows that the tree of `old` leaves is the start of the tree of `new` leaves.
pub fn verify_consistency(old: u64, new: u64, proof: &[TreeHash], old_root: &TreeHash, new_root: &TreeHash) -> bool {
    if old > new {
        return false;
    }
    if old == new || old == 0 {
        let is_same = if old == new { old_root == new_root } else { *old_root == empty_root() };
        return proof.is_empty() && is_same;
    }
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (*old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut number, mut last) = (old - 1, new - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for other in rest {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            old_hash = node_hash(other, &old_hash);
            new_hash = node_hash(other, &new_hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, other);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}
