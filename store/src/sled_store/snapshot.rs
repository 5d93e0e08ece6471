//! The trees as they were at a moment, read while they change.
//!
//! sled has no snapshots. So whoever changes a value that the reader has not reached hands over the value before: the reader
//! gets each value of the moment once, either from the tree or from that hand-over. Handed-over values wait in a file, so that
//! neither a checkpoint waits for a slow reader nor memory grows with what it changes. Both are bounded, and the snapshot ends
//! with an error at the bound: the server is worth more than a backup that is too slow.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use super::tree::ReadableTree;
use super::tree_value::{TreeKind, TreeValue, encode};
use crate::bytes::array_at;

/// The name of the file while it has one, which is a moment.
const FILE_NAME: &str = "backup.changed";
/// Maximum number of values that are handed over, of which the keys are known to the reader: 17 bytes of memory each, in a
/// table that is at most half empty.
const MAX_KEPT: usize = 4 << 20;
/// Maximum number of bytes of handed-over values that wait in the file.
const MAX_WAITING_BYTES: u64 = 8 << 30;
/// Maximum number of keys that one step of the reader looks at. Writers wait meanwhile.
const MAX_STEP_KEYS: usize = 1024;

/// Why a snapshot cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotFault {
    #[error("another backup is running: wait for its end")]
    Busy,
    #[error("more has changed since it began than is remembered: allow it a higher rate, or make it at a quieter time")]
    Overrun,
    #[error("what has changed since it began could not be written ({0}): free some space")]
    File(#[source] io::Error),
    #[error("sled failed ({0}): make it again")]
    Sled(#[from] sled::Error),
    #[error("sled was reopened after a failure: make it again")]
    Reopened,
}

/// The snapshot of a store, if one is read.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<Option<Snapshot>>);

/// A locked snapshot: nothing changes in the trees while it is held.
pub(super) type LockedSnapshot<'a> = MutexGuard<'a, Option<Snapshot>>;

impl Snapshots {
    pub(super) fn lock(&self) -> LockedSnapshot<'_> {
        self.0.lock()
    }
}

/// What the reader of a snapshot has read, and what was handed over to it.
pub(super) struct Snapshot {
    /// The tree that is read, and the last key that was; `None` at the end.
    position: Option<(TreeKind, Option<Vec<u8>>)>,
    /// Hashes of the keys whose values were handed over. 128 bits: that two of them are equal does not happen.
    kept: HashSet<u128>,
    waiting: WaitingValues,
    fault: Option<SnapshotFault>,
    /// How often sled had been reopened.
    reopens: u64,
}

impl Snapshot {
    pub(super) fn begin(data_dir: &Path, reopens: u64) -> io::Result<Self> {
        Ok(Self {
            position: Some((TreeKind::Users, None)),
            kept: HashSet::new(),
            waiting: WaitingValues::create(data_dir)?,
            fault: None,
            reopens,
        })
    }

    /// Returns whether the reader has not reached a key yet.
    fn is_ahead(&self, tree: TreeKind, key: &[u8]) -> bool {
        self.position.as_ref().is_some_and(|(reading, last)| match tree.cmp(reading) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => last.as_deref().is_none_or(|last| key > last),
            std::cmp::Ordering::Greater => true,
        })
    }

    /// Hands over the values of `keys`, which are about to change. A failure ends the snapshot and not the change.
    pub(super) fn keep<'a>(&mut self, kind: TreeKind, tree: &ReadableTree, keys: impl Iterator<Item = &'a [u8]>) {
        if self.fault.is_some() {
            return;
        }
        let mut bytes = Vec::new();
        for key in keys.filter(|key| self.is_ahead(kind, key)).collect::<Vec<_>>() {
            let hash = hash(kind, key);
            if !self.kept.insert(hash) {
                continue;
            }
            match tree.get(key) {
                Ok(Some(value)) => encode(&mut bytes, kind, key, &value),
                // It did not exist at the moment, and the reader leaves it out.
                Ok(None) => {}
                Err(error) => return self.fail(error.into()),
            }
        }
        if self.kept.len() > MAX_KEPT || self.waiting.bytes() + bytes.len() as u64 > MAX_WAITING_BYTES {
            return self.fail(SnapshotFault::Overrun);
        }
        if let Err(error) = self.waiting.push(&bytes) {
            self.fail(SnapshotFault::File(error));
        }
    }

    fn fail(&mut self, fault: SnapshotFault) {
        self.kept = HashSet::new();
        self.fault = Some(fault);
    }

    /// Returns further values, about `max_bytes` of them; none at the end.
    pub(super) fn next<'a>(
        &mut self,
        tree: impl Fn(TreeKind) -> &'a ReadableTree,
        reopens: u64,
        max_bytes: usize,
    ) -> Result<Vec<TreeValue>, SnapshotFault> {
        if let Some(fault) = self.fault.take() {
            // It stays failed.
            self.fault = Some(SnapshotFault::Overrun);
            return Err(fault);
        }
        if self.reopens != reopens {
            return Err(SnapshotFault::Reopened);
        }
        let waiting = self.waiting.pop(max_bytes).map_err(SnapshotFault::File)?;
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        let (mut values, mut bytes, mut looked) = (Vec::new(), 0, 0);
        while let Some((kind, last)) = self.position.take() {
            let from = last.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(last.clone()));
            let mut newest = last;
            let mut is_full = false;
            for entry in tree(kind).range::<Vec<u8>, _>((from, Bound::Unbounded)) {
                let (key, value) = entry?;
                looked += 1;
                if !self.kept.contains(&hash(kind, &key)) {
                    let value = TreeValue { tree: kind, key: key.to_vec(), value: value.to_vec() };
                    bytes += value.bytes();
                    values.push(value);
                }
                newest = Some(key.to_vec());
                is_full = bytes >= max_bytes || looked >= MAX_STEP_KEYS;
                if is_full {
                    break;
                }
            }
            self.position = if is_full { Some((kind, newest)) } else { kind.next().map(|next| (next, None)) };
            if is_full {
                break;
            }
        }
        Ok(values)
    }

    /// Returns whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.position.is_none() && self.waiting.bytes() == 0
    }
}

/// Handed-over values that the reader has not taken yet, in a file without a name.
struct WaitingValues {
    file: File,
    start: u64,
    end: u64,
}

impl WaitingValues {
    fn create(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        // A crash may have left one that had its name still.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Self { file, start: 0, end: 0 })
    }

    fn bytes(&self) -> u64 {
        self.end - self.start
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Takes the oldest values, about `max_bytes` of them.
    fn pop(&mut self, max_bytes: usize) -> io::Result<Vec<TreeValue>> {
        let mut bytes = vec![0; usize::try_from(self.bytes()).unwrap_or(usize::MAX).min(2 * max_bytes)];
        self.file.read_exact_at(&mut bytes, self.start)?;
        let (mut values, mut taken) = (Vec::new(), 0);
        let mut rest = &bytes[..];
        while let Some((value, behind)) = TreeValue::decode(rest).filter(|_| taken < max_bytes) {
            taken += value.bytes();
            values.push(value);
            rest = behind;
        }
        self.start += taken as u64;
        if self.start == self.end && self.end > 0 {
            self.file.set_len(0)?;
            (self.start, self.end) = (0, 0);
        }
        Ok(values)
    }
}

/// Returns the first half of the SHA-256 of a tree's name and a key.
fn hash(tree: TreeKind, key: &[u8]) -> u128 {
    let digest: [u8; 32] = Sha256::new().chain_update([tree as u8]).chain_update(key).finalize().into();
    u128::from_le_bytes(array_at(&digest, 0))
}
