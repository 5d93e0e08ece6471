//! sled behind the journal: users, their side records, dead letters, and the meta record.
//!
//! A write to sled acknowledges nothing. A checkpoint is complete once [`SledStore::flush`] has returned and the meta record
//! has its position; until then the journal has the frames, too.

mod codec;
mod letters;
mod meta;
mod projection_key;
mod quarantine;
mod record;
mod repair;
mod restored;
mod scan;
mod side_records;
mod snapshot;
mod tree;
mod tree_value;
mod trees;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::store::{SideKind, StoreError};
use parking_lot::RwLock;

pub(crate) use letters::{LetterKey, NewLetter, SourceTag};
pub(crate) use meta::{Meta, STORE_FORMAT};
pub(crate) use projection_key::ProjectionKey;
use record::NOT_COMPRESSED;
pub(crate) use record::SealedRecord;
pub(crate) use scan::ScannedUser;
pub(crate) use side_records::side_key;
pub(crate) use snapshot::SnapshotFault;
pub(crate) use tree_value::{TreeKind, TreeValue};
pub(crate) use write::FoldedUser;

use crate::error::OpenError;
use crate::journal;
use crate::options::StoreOptions;
use crate::permissions;
use crate::reserve::Reserve;
use crate::seal::{Cipher, kind};
use crate::user_hash::UserHash;
use crate::user_suffix::{append_user, split_user};
use codec::Codec;
use quarantine::Quarantined;
pub(crate) use quarantine::{QuarantinedUser, is_note_key};
use snapshot::Snapshots;
use tree::ReadableTree;
use trees::Trees;

/// The folder of sled in the data directory.
pub(crate) const DIRECTORY: &str = "sled";
const META_KEY: &[u8] = b"meta";

/// The content of a user's record.
pub(crate) struct StoredUser {
    pub(crate) user: UserId,
    /// The state of the last checkpoint.
    pub(crate) state: Vec<u8>,
}

/// The open database.
pub(crate) struct SledStore {
    data_dir: PathBuf,
    cache_bytes: u64,
    codec: Codec,
    /// `None` while sled is being reopened, or if that failed.
    trees: RwLock<Option<Trees>>,
    reserve: Reserve,
    reopens: AtomicU64,
    quarantined: Quarantined,
    snapshots: Arc<Snapshots>,
}

impl SledStore {
    /// Opens or creates the database, and checks that its sync is a real one. If the disk is full or no descriptor is left,
    /// the reserve is released for it.
    pub(crate) fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let (data_dir, cache_bytes) = (&options.data_dir, options.sled_cache_bytes);
        let reserve = Reserve::find(options.disk.clone(), data_dir);
        permissions::restrict(reserve.path())?;
        let snapshots = Arc::new(Snapshots::default());
        let trees = match Trees::open(data_dir, cache_bytes, &snapshots) {
            Err(error) if error.is_exhausted() => {
                tracing::warn!("sled did not open ({error}): releasing the reserve, then trying again");
                reserve.release();
                // The upkeep thread prepares this file again.
                let _ = options.disk.remove(&data_dir.join(journal::DIRECTORY).join(journal::NEW_FILE_NAME));
                Trees::open(data_dir, cache_bytes, &snapshots)?
            }
            other => other?,
        };
        let quarantined = Quarantined::read(&trees.quarantine);
        Ok(Self {
            quarantined: quarantined.map_err(|source| OpenError::Sled { doing: "read", source })?,
            data_dir: data_dir.clone(),
            cache_bytes,
            codec: Codec::new(&options.dictionaries),
            trees: RwLock::new(Some(trees)),
            reserve,
            reopens: AtomicU64::new(0),
            snapshots,
        })
    }

    /// Returns whether there is a database in the data directory.
    pub(crate) fn exists(data_dir: &Path) -> bool {
        data_dir.join(DIRECTORY).join("db").exists()
    }

    pub(crate) fn meta(&self) -> Result<Option<Meta>, OpenError> {
        let read = self.with(|trees| trees.meta.get(META_KEY));
        let bytes = read.map_err(|source| OpenError::Sled { doing: "read", source })?;
        bytes.map(|bytes| Meta::decode(&bytes)).transpose()
    }

    /// Writes the meta record, durable when it returns.
    pub(crate) fn set_meta(&self, meta: &Meta) -> sled::Result<()> {
        self.with(|trees| {
            trees.meta.insert(META_KEY, &meta.encode())?;
            trees.db.flush().map(|_| ())
        })
    }

    /// Makes everything that was written durable.
    pub(crate) fn flush(&self) -> sled::Result<()> {
        self.with(|trees| trees.db.flush().map(|_| ()))
    }

    /// Returns the number of bytes of sled's log.
    pub(crate) fn bytes(&self) -> u64 {
        self.with(|trees| trees.db.size_on_disk()).unwrap_or(0)
    }

    /// Reopens sled, which does not recover from an I/O error by itself. Everything that was flushed is still there, and the
    /// journal has the frames of the rest. The failed database can still be read, so it is closed only if the reserve is
    /// there for opening it.
    pub(crate) fn reopen(&self) -> Result<(), OpenError> {
        let _space = self.reserve.lock_space();
        if self.is_open() {
            let path = self.data_dir.clone();
            let failed = |source| OpenError::Disk { doing: "reserve disk space in", path, source };
            self.ensure_reserve().and_then(|()| self.reserve.try_write()).map_err(failed)?;
        }
        let mut trees = self.trees.write();
        *trees = None;
        self.reserve.release();
        let opened = Trees::open(&self.data_dir, self.cache_bytes, &self.snapshots).map(|opened| *trees = Some(opened));
        drop(trees);
        self.reopens.fetch_add(1, Ordering::AcqRel);
        // At once, before something else takes the disk space.
        if let Err(error) = self.ensure_reserve() {
            tracing::warn!("the reserve is used up ({error}): nothing is written to sled for now");
        }
        opened
    }

    /// Returns how often sled was reopened. Writes that were not flushed before are lost each time.
    pub(crate) fn reopens(&self) -> u64 {
        self.reopens.load(Ordering::Acquire)
    }

    /// Returns whether sled is open, so that it can be read.
    pub(crate) fn is_open(&self) -> bool {
        self.trees.read().is_some()
    }

    pub(crate) fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    /// Returns whether the reserve is complete, so that sled may be written to.
    pub(crate) fn has_reserve(&self) -> bool {
        self.reserve.is_held()
    }

    /// Reserves the disk space and the descriptors that reopening sled takes.
    pub(crate) fn ensure_reserve(&self) -> io::Result<()> {
        self.reserve.ensure(self.bytes())
    }

    /// Returns whether any tree but that of the meta record has content.
    pub(crate) fn holds_data(&self) -> sled::Result<bool> {
        self.with(|trees| {
            let Trees { users, records, letters, daily_keys, quarantine, .. } = trees;
            Ok([users, records, letters, daily_keys, quarantine].iter().any(|tree| !tree.is_empty()))
        })
    }

    /// Reads the sealed record of a user, from the last checkpoint that folded frames of the user.
    pub(crate) fn user(&self, user: &UserHash) -> Result<Option<SealedRecord>, StoreError> {
        self.with(|trees| Ok(read(&trees.users, &user.0, *user))).map_err(unavailable)?
    }

    /// Opens a user's record.
    pub(crate) fn open_user(&self, cipher: &Cipher, record: &SealedRecord) -> Result<StoredUser, StoreError> {
        let damaged = || StoreError::Damaged { what: format!("the user in the record of slot {}", record.slot) };
        let mut state = self.open_record(cipher, kind::USER, record)?;
        let user = split_user(&mut state).ok_or_else(damaged)?;
        Ok(StoredUser { user, state })
    }

    /// Seals a user's record.
    pub(crate) fn seal_user(
        &self,
        cipher: &Cipher,
        stored: StoredUser,
        record: SealedRecord,
        entropy: &dyn Entropy,
    ) -> Result<SealedRecord, StoreError> {
        let StoredUser { user, state: mut content } = stored;
        append_user(&mut content, &user);
        self.seal(cipher, content, record, entropy)
    }

    /// Compresses and seals a record. Packed states are not compressed: they have a compact form of their own.
    pub(crate) fn seal(
        &self,
        cipher: &Cipher,
        body: Vec<u8>,
        mut record: SealedRecord,
        entropy: &dyn Entropy,
    ) -> Result<SealedRecord, StoreError> {
        record.plain_bytes = u32::try_from(body.len())
            .map_err(|source| StoreError::Unavailable { doing: "sealing a huge record", source: source.into() })?;
        let is_compact = [kind::USER, kind::TOMBSTONE, kind::side_record(SideKind::BASE)].contains(&record.kind);
        (record.sealed, record.dictionary) = if is_compact {
            (body, NOT_COMPRESSED)
        } else {
            let failed = |source: io::Error| StoreError::Unavailable { doing: "compressing", source: source.into() };
            (self.codec.compress(&body).map_err(failed)?, self.codec.dictionary_id())
        };
        entropy.fill(&mut record.nonce);
        cipher.seal(&record.nonce, record.label(), &mut record.sealed, 0);
        Ok(record)
    }

    /// Opens a record, and decompresses it if it was compressed.
    pub(crate) fn open_record(&self, cipher: &Cipher, kind: u8, record: &SealedRecord) -> Result<Vec<u8>, StoreError> {
        let damaged = |what: &str| StoreError::Damaged { what: format!("{what} of slot {}", record.slot) };
        if record.kind != kind {
            return Err(damaged("the kind of a record"));
        }
        let compressed = cipher.open(&record.nonce, record.label(), &record.sealed);
        let compressed = compressed.map_err(|_| damaged("the seal of a record"))?;
        if record.dictionary == NOT_COMPRESSED {
            return Ok(compressed);
        }
        let plain_bytes = record.plain_bytes as usize;
        let Some(body) = self.codec.decompress(&compressed, record.dictionary, plain_bytes) else {
            // The record is not damaged: a newer release wrote it.
            let source = format!("the record of slot {} was compressed with an unknown one", record.slot).into();
            return Err(StoreError::Unavailable { doing: "looking for a record's dictionary", source });
        };
        body.map_err(|_| damaged("the compression"))
    }

    fn with<T>(&self, work: impl FnOnce(&Trees) -> sled::Result<T>) -> sled::Result<T> {
        match &*self.trees.read() {
            Some(trees) => work(trees),
            None => Err(sled::Error::Unsupported("sled is closed after an I/O error".to_owned())),
        }
    }
}

fn unavailable(source: sled::Error) -> StoreError {
    StoreError::Unavailable { doing: "using sled", source: Box::new(source) }
}

/// Returns the key of a chunk: the prefix of its record and its number, so that the chunks of a record are adjacent.
fn chunk_key(prefix: &[u8], number: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 2);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Reads the record of `user` whose chunks have keys that start with `prefix`.
fn read(tree: &ReadableTree, prefix: &[u8], user: UserHash) -> Result<Option<SealedRecord>, StoreError> {
    let unavailable = |source: sled::Error| StoreError::Unavailable { doing: "reading sled", source: Box::new(source) };
    let damaged = || StoreError::Damaged { what: "a record's chunks in sled".to_owned() };
    let get = |number| tree.get(chunk_key(prefix, number)).map_err(unavailable);
    let Some(mut first) = get(0)? else { return Ok(None) };
    loop {
        let count = SealedRecord::chunk_count(&first).ok_or_else(damaged)?;
        let mut record = SealedRecord::from_first(&first, user).ok_or_else(damaged)?;
        let mut whole = true;
        for number in 1..count {
            match get(number)? {
                Some(chunk) => record.sealed.extend_from_slice(&chunk),
                None => whole = false,
            }
        }
        if count == 1 {
            return Ok(Some(record));
        }
        // A checkpoint may have replaced the record between the reads of its chunks.
        match get(0)? {
            Some(again) if again == first && whole => return Ok(Some(record)),
            Some(again) if again == first => return Err(damaged()),
            Some(again) => first = again,
            None => return Ok(None),
        }
    }
}
