//! The file of all complete nodes of the tree, in the order in which they become complete (post-order).
//!
//! With the leaf number `m - 1` the tree has `2 m - (bits set in m)` complete nodes, so the place of a node follows from its
//! level and its number, and the file only grows. It holds 64 bytes for each leaf and is kept when segments are removed.
//! It is written without a sync of its own: start-up makes what is missing from the lines of the last segment.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Frontier, NodeSource, TreeHash};
use crate::disk::{Disk, DiskFile, WriteFailed, read_full_at, write_all_at};

/// Bytes of a node.
const NODE_BYTES: u64 = 32;

/// Returns the number of complete nodes of a tree with `leaves` leaves.
pub(super) fn node_count(leaves: u64) -> u64 {
    2 * leaves - u64::from(leaves.count_ones())
}

/// Returns the place of the node number `index` (from 0) of a level (0 are the leaves).
pub(super) fn place(level: u32, index: u64) -> u64 {
    // It becomes complete with its last leaf, after that leaf and the nodes of lower levels.
    let last_leaf = ((index + 1) << level) - 1;
    node_count(last_leaf) + u64::from(level)
}

/// Reads a node.
pub(in crate::audit) fn read_node(file: &dyn DiskFile, level: u32, index: u64) -> io::Result<TreeHash> {
    let mut hash = [0; NODE_BYTES as usize];
    let filled = read_full_at(file, &mut hash, place(level, index) * NODE_BYTES)?;
    if filled < hash.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(hash) }
}

/// The open file.
#[derive(Clone)]
pub(in crate::audit) struct NodeFile(Arc<dyn DiskFile>);

impl NodeFile {
    /// Opens the file at `path`, or creates it.
    pub(in crate::audit) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        Ok(Self(if path.exists() { disk.open(path)? } else { disk.create(path)? }))
    }

    /// Returns the number of leaves of the greatest tree whose nodes the file has, and that has at most `most` leaves.
    pub(in crate::audit) fn leaves(&self, most: u64) -> io::Result<u64> {
        let nodes = self.0.length()? / NODE_BYTES;
        let (mut low, mut high) = (0, most.min(nodes));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if node_count(middle) <= nodes {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }

    /// Returns the frontier of the tree of the first `leaves` leaves, all of which the file has.
    pub(in crate::audit) fn frontier(&self, leaves: u64) -> io::Result<Frontier> {
        let (mut peaks, mut start) = (Vec::new(), 0);
        for level in (0..u64::BITS).rev().filter(|level| leaves & (1 << level) != 0) {
            peaks.push(self.node(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Frontier::new(leaves, peaks))
    }

    /// Writes nodes after those of the first `leaves` leaves. What was there is overwritten.
    pub(in crate::audit) fn write_after(&self, leaves: u64, nodes: &[u8]) -> io::Result<()> {
        write_all_at(&*self.0, nodes, node_count(leaves) * NODE_BYTES).map_err(|WriteFailed { source, .. }| source)
    }

    /// Makes what was written durable.
    pub(in crate::audit) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl NodeSource for NodeFile {
    fn node(&self, level: u32, index: u64) -> io::Result<TreeHash> {
        read_node(&*self.0, level, index)
    }
}
