//! A tree that grows beyond its file of nodes: what the file lacks is in memory.

use std::io;

use super::nodes::{node_count, place};
use super::{Frontier, NodeFile, NodeSource, TreeHash};

/// Bytes of a node.
const NODE_BYTES: usize = 32;

/// A file of nodes, or none, and the nodes after those of its first leaves.
#[derive(Default)]
pub(in crate::audit) struct TreeGrowth {
    pub(in crate::audit) file: Option<NodeFile>,
    /// The number of leaves whose nodes are taken from the file.
    pub(in crate::audit) written: u64,
    pub(in crate::audit) frontier: Frontier,
    /// The nodes after those.
    pub(in crate::audit) unwritten: Vec<u8>,
}

impl TreeGrowth {
    /// Continues a file after its first `leaves` leaves. Without a file, `leaves` is 0.
    pub(in crate::audit) fn after(file: Option<NodeFile>, leaves: u64) -> io::Result<Self> {
        let frontier = file.as_ref().map_or_else(|| Ok(Frontier::default()), |file| file.frontier(leaves))?;
        Ok(Self { file, written: leaves, frontier, unwritten: Vec::new() })
    }

    /// Adds leaves.
    pub(in crate::audit) fn extend(&mut self, leaves: &[TreeHash]) {
        for leaf in leaves {
            self.frontier.push(*leaf, |node| self.unwritten.extend_from_slice(node));
        }
    }
}

impl NodeSource for TreeGrowth {
    fn node(&self, level: u32, index: u64) -> io::Result<TreeHash> {
        let first = node_count(self.written);
        let Some(position) = place(level, index).checked_sub(first) else {
            return self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.node(level, index);
        };
        let node = usize::try_from(position).ok().and_then(|position| {
            let start = position.checked_mul(NODE_BYTES)?;
            self.unwritten.get(start..start.checked_add(NODE_BYTES)?)
        });
        node.and_then(|node| node.try_into().ok()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
