//! The Merkle tree as the writer grows it, and as the readers see it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::merkle::{NodeFile, TreeGrowth, TreeHash};
use super::tree_head::SignedTreeHead;
use crate::disk::Disk;

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

/// The growing tree. Nodes that the file does not have yet are in memory.
pub(super) struct TreeWriter {
    growth: TreeGrowth,
    shared: Arc<SharedTree>,
}

impl TreeWriter {
    /// Continues a tree, and writes the nodes that its file lacks. The file at `path` is created if there is none.
    pub(super) fn open(disk: &dyn Disk, path: &Path, growth: TreeGrowth) -> io::Result<Self> {
        let nodes = match &growth.file {
            Some(nodes) => nodes.clone(),
            None => NodeFile::open(disk, path)?,
        };
        let leaves = AtomicU64::new(growth.written);
        let mut tree = Self { growth, shared: Arc::new(SharedTree { nodes, leaves, head: RwLock::default() }) };
        tree.write()?;
        Ok(tree)
    }

    pub(super) fn shared(&self) -> &Arc<SharedTree> {
        &self.shared
    }

    /// Returns the number of leaves.
    pub(super) fn size(&self) -> u64 {
        self.growth.frontier.size()
    }

    /// Returns the hash of the tree.
    pub(super) fn root(&self) -> TreeHash {
        self.growth.frontier.root()
    }

    /// Adds leaves that are durable in the log.
    pub(super) fn extend(&mut self, leaves: &[TreeHash]) {
        self.growth.extend(leaves);
    }

    /// Writes the nodes of new leaves, after which readers see them. What could not be written is kept for the next time.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let TreeGrowth { unwritten, written, frontier, .. } = &mut self.growth;
        if unwritten.is_empty() {
            return Ok(());
        }
        self.shared.nodes.write_after(*written, unwritten)?;
        unwritten.clear();
        *written = frontier.size();
        self.shared.leaves.store(*written, Ordering::Release);
        Ok(())
    }

    /// Makes the nodes of all leaves durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        self.shared.nodes.sync()
    }
}
