//! A tree of the store. All its changes pass here, so that a snapshot that is read meanwhile gets the values before.

use std::convert::Infallible;
use std::ops::{Deref, RangeBounds};
use std::sync::Arc;

use sled::IVec;
use sled::transaction::{TransactionError, Transactional, TransactionalTree};

use super::snapshot::{LockedSnapshot, Snapshots};
use super::tree_value::TreeKind;

/// Changes of a tree that are made together.
#[derive(Default)]
pub(super) struct TreeBatch {
    batch: sled::Batch,
    keys: Vec<IVec>,
}

impl TreeBatch {
    /// Sets the value of a key.
    pub(super) fn insert(&mut self, key: impl Into<IVec>, value: impl Into<IVec>) {
        let key = key.into();
        self.keys.push(key.clone());
        self.batch.insert(key, value);
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: impl Into<IVec>) {
        let key = key.into();
        self.keys.push(key.clone());
        self.batch.remove(key);
    }
}

/// The reading side of a tree.
pub(super) struct ReadableTree(sled::Tree);

impl ReadableTree {
    /// Returns the value of a key.
    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> sled::Result<Option<IVec>> {
        self.0.get(key)
    }

    /// Returns whether a key has a value.
    pub(super) fn contains_key(&self, key: impl AsRef<[u8]>) -> sled::Result<bool> {
        self.0.contains_key(key)
    }

    /// Returns whether there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over all keys and values, in the order of the keys.
    pub(super) fn iter(&self) -> sled::Iter {
        self.0.iter()
    }

    /// Iterates over a range of keys.
    pub(super) fn range<K: AsRef<[u8]>, R: RangeBounds<K>>(&self, range: R) -> sled::Iter {
        self.0.range(range)
    }

    /// Iterates over the keys that begin with `prefix`.
    pub(super) fn scan_prefix(&self, prefix: impl AsRef<[u8]>) -> sled::Iter {
        self.0.scan_prefix(prefix)
    }
}

/// A tree that is read through [`ReadableTree`] and changed by these methods only.
pub(super) struct StoredTree {
    tree: ReadableTree,
    kind: TreeKind,
    snapshots: Arc<Snapshots>,
}

impl Deref for StoredTree {
    type Target = ReadableTree;

    fn deref(&self) -> &ReadableTree {
        &self.tree
    }
}

impl StoredTree {
    pub(super) fn new(tree: sled::Tree, kind: TreeKind, snapshots: Arc<Snapshots>) -> Self {
        Self { tree: ReadableTree(tree), kind, snapshots }
    }

    /// Makes the changes of a batch together.
    pub(super) fn apply_batch(&self, batch: TreeBatch) -> sled::Result<()> {
        let mut snapshot = self.snapshots.lock();
        self.keep(&mut snapshot, &batch);
        self.tree.0.apply_batch(batch.batch)
    }

    /// Sets the value of a key.
    pub(super) fn insert(&self, key: impl AsRef<[u8]>, value: impl Into<IVec>) -> sled::Result<()> {
        let mut batch = TreeBatch::default();
        batch.insert(key.as_ref(), value);
        self.apply_batch(batch)
    }

    /// Removes a key.
    pub(super) fn remove(&self, key: impl AsRef<[u8]>) -> sled::Result<()> {
        let mut batch = TreeBatch::default();
        batch.remove(key.as_ref());
        self.apply_batch(batch)
    }

    /// Makes the changes of several trees of one database in one transaction, whose parts sled recovers all or none after a crash.
    pub(super) fn apply_together(changes: &[(&Self, &TreeBatch)]) -> sled::Result<()> {
        let Some((first, _)) = changes.first() else { return Ok(()) };
        let mut snapshot = first.snapshots.lock();
        changes.iter().for_each(|(tree, batch)| tree.keep(&mut snapshot, batch));
        let trees: Vec<&sled::Tree> = changes.iter().map(|(tree, _)| &tree.tree.0).collect();
        let apply = |views: &Vec<TransactionalTree>| {
            views.iter().zip(changes).try_for_each(|(view, (_, batch))| view.apply_batch(&batch.batch))?;
            Ok(())
        };
        trees[..].transaction(apply).map_err(|error: TransactionError<Infallible>| match error {
            TransactionError::Storage(error) => error,
            TransactionError::Abort(never) => match never {},
        })
    }

    fn keep(&self, snapshot: &mut LockedSnapshot<'_>, batch: &TreeBatch) {
        if let Some(snapshot) = snapshot.as_mut() {
            snapshot.keep(self.kind, &self.tree, batch.keys.iter().map(|key| &key[..]));
        }
    }
}
