//! The Merkle tree as the writer grows it, and as the readers see it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::merkle::{Frontier, NodeFile, TreeHash};
use super::tree_head::SignedTreeHead;

/// The tree as the readers see it.
pub(super) struct SharedTree {
    pub(super) nodes: NodeFile,
    /// Number of leaves whose nodes can be read.
    leaves: AtomicU64,
    head: RwLock<Option<SignedTreeHead>>,
}

impl SharedTree {
    /// Returns the number of leaves that proofs can be made about.
    pub(super) fn leaves(&self) -> u64 {
        self.leaves.load(Ordering::Acquire)
    }

    /// Returns the newest signed head.
    pub(super) fn head(&self) -> Option<SignedTreeHead> {
        self.head.read().clone()
    }

    pub(super) fn set_head(&self, head: SignedTreeHead) {
        *self.head.write() = Some(head);
    }
}

/// The growing tree.
pub(super) struct TreeWriter {
    frontier: Frontier,
    shared: Arc<SharedTree>,
    /// Nodes after those of the first `written` leaves, which the file does not have yet.
    unwritten: Vec<u8>,
    written: u64,
}

impl TreeWriter {
    /// Continues a file of nodes after the first `leaves` leaves.
    pub(super) fn open(nodes: NodeFile, leaves: u64) -> io::Result<Self> {
        let frontier = nodes.frontier(leaves)?;
        let shared = Arc::new(SharedTree { nodes, leaves: AtomicU64::new(leaves), head: RwLock::default() });
        Ok(Self { frontier, shared, unwritten: Vec::new(), written: leaves })
    }

    pub(super) fn shared(&self) -> &Arc<SharedTree> {
        &self.shared
    }

    /// Returns the number of leaves.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Returns the hash of the tree.
    pub(super) fn root(&self) -> TreeHash {
        self.frontier.root()
    }

    /// Adds leaves that are durable in the log.
    pub(super) fn extend(&mut self, leaves: &[TreeHash]) {
        for leaf in leaves {
            self.frontier.push(*leaf, |node| self.unwritten.extend_from_slice(node));
        }
    }

    /// Writes the nodes of new leaves, after which readers see them. What could not be written is kept for the next time.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.shared.nodes.write_after(self.written, &self.unwritten)?;
        self.unwritten.clear();
        self.written = self.frontier.size();
        self.shared.leaves.store(self.written, Ordering::Release);
        Ok(())
    }

    /// Makes the nodes of all leaves durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        self.shared.nodes.sync()
    }
}
