//! Reading and writing the trees as a whole, for backups.

use super::SledStore;
use super::snapshot::{Snapshot, SnapshotFault};
use super::tree::TreeBatch;
use super::tree_value::{TreeKind, TreeValue};
use super::trees::Trees;

impl SledStore {
    /// Begins to read all trees as they are now. Until [`Self::end_snapshot`], changes hand over the values before.
    pub(crate) fn begin_snapshot(&self) -> Result<(), SnapshotFault> {
        let mut snapshot = self.snapshots.lock();
        if snapshot.is_some() {
            return Err(SnapshotFault::Busy);
        }
        *snapshot = Some(Snapshot::begin(&self.data_dir, self.reopens()).map_err(SnapshotFault::File)?);
        Ok(())
    }

    /// Returns further values of the snapshot, about `max_bytes` of them, in no certain order; `None` at the end. It may
    /// return none before the end.
    pub(crate) fn next_of_snapshot(&self, max_bytes: usize) -> Result<Option<Vec<TreeValue>>, SnapshotFault> {
        let read = |trees: &Trees| {
            let mut locked = self.snapshots.lock();
            let Some(snapshot) = locked.as_mut() else { return Ok(Ok(None)) };
            if snapshot.is_done() {
                return Ok(Ok(None));
            }
            Ok(snapshot.next(|kind| trees.tree(kind), self.reopens(), max_bytes).map(Some))
        };
        self.with(read)?
    }

    /// Ends the snapshot.
    pub(crate) fn end_snapshot(&self) {
        *self.snapshots.lock() = None;
    }

    /// Writes values of a backup. Durable after the next flush.
    pub(crate) fn put_values(&self, values: Vec<TreeValue>) -> sled::Result<()> {
        let mut batches = TreeKind::ALL.map(|kind| (kind, TreeBatch::default()));
        for TreeValue { tree, key, value } in values {
            if let Some((_, batch)) = batches.iter_mut().find(|(kind, _)| *kind == tree) {
                batch.insert(key, value);
            }
        }
        self.with(|trees| batches.into_iter().try_for_each(|(kind, batch)| trees.tree(kind).apply_batch(batch)))
    }

    /// Passes all values of a tree, in the order of their keys, until `visit` returns `false`.
    pub(crate) fn visit_tree(&self, kind: TreeKind, mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> sled::Result<()> {
        self.with(|trees| {
            for entry in trees.tree(kind).iter() {
                let (key, value) = entry?;
                if !visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }
}
