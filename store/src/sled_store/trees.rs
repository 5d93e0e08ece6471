//! The open database and its trees.

use std::path::Path;
use std::sync::Arc;

use super::snapshot::Snapshots;
use super::tree::StoredTree;
use super::tree_value::TreeKind;
use super::{DIRECTORY, repair};
use crate::error::OpenError;
use crate::permissions;
use crate::sync_shim;

const PROOF_KEY: &[u8] = b"sync proof";

/// The open database and its trees.
pub(super) struct Trees {
    pub(super) db: sled::Db,
    pub(super) meta: sled::Tree,
    pub(super) users: StoredTree,
    /// Side records.
    pub(super) records: StoredTree,
    pub(super) letters: StoredTree,
    pub(super) daily_keys: StoredTree,
    pub(super) quarantine: StoredTree,
}

impl Trees {
    pub(super) fn open(data_dir: &Path, cache_bytes: u64, snapshots: &Arc<Snapshots>) -> Result<Self, OpenError> {
        let path = data_dir.join(DIRECTORY);
        let db = repair::open_repaired(&path, cache_bytes)?;
        let sled = |source| OpenError::Sled { doing: "open its trees", source };
        let tree = |name: &str, kind| {
            db.open_tree(name).map(|tree| StoredTree::new(tree, kind, Arc::clone(snapshots))).map_err(sled)
        };
        let trees = Self {
            meta: db.open_tree("meta").map_err(sled)?,
            users: tree("users", TreeKind::Users)?,
            records: tree("records", TreeKind::Records)?,
            letters: tree("dead letters", TreeKind::Letters)?,
            daily_keys: tree("daily keys", TreeKind::DailyKeys)?,
            quarantine: tree("quarantine", TreeKind::Quarantine)?,
            db: db.clone(),
        };
        let calls = sync_shim::calls();
        // The value has to change: sled skips a write that changes nothing, and then a flush syncs nothing.
        trees.meta.update_and_fetch(PROOF_KEY, next_proof).map_err(sled)?;
        trees.db.flush().map_err(sled)?;
        if sync_shim::calls() == calls {
            return Err(OpenError::SyncNotReplaced);
        }
        repair::sync_names(data_dir, &path).map_err(|source| OpenError::Disk {
            doing: "sync the files of",
            path: path.clone(),
            source,
        })?;
        permissions::restrict(&path)?;
        Ok(trees)
    }

    /// Returns the tree of a kind.
    pub(super) fn tree(&self, kind: TreeKind) -> &StoredTree {
        match kind {
            TreeKind::Users => &self.users,
            TreeKind::Records => &self.records,
            TreeKind::Letters => &self.letters,
            TreeKind::DailyKeys => &self.daily_keys,
            TreeKind::Quarantine => &self.quarantine,
        }
    }
}

/// Returns the value of the sync proof: the number of times that sled was opened.
fn next_proof(before: Option<&[u8]>) -> Option<Vec<u8>> {
    let before = before.and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Some(before.wrapping_add(1).to_le_bytes().to_vec())
}
