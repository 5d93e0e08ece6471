//! Scans of stored users.

use std::ops::Bound;
use std::sync::Arc;

use domain::port::journal::{Record, RowId};
use domain::port::projection::{StoredState, UserScan, VisitedUser};
use domain::port::store::{LoadVisitor, LoadedUser, StoreError};

use crate::engine::{Engine, KeyFault};
use crate::erasure::erased_by_slot;
use crate::journal::Position;
use crate::load::load;
use crate::seal::kind;
use crate::sled_store::{ScannedUser, SealedRecord};
use crate::user_hash::UserHash;

/// The users in sled are divided by the first 12 bits of their hashes.
const RANGE_BITS: u32 = 12;
/// Users that are read from sled at once.
const BATCH_USERS: usize = 64;
/// Users of a part that are not read in the order of sled.
const LISTED_USERS: usize = 256;

/// A scan of all users, or of those with frames from a position on.
pub(super) struct StoreScan {
    engine: Arc<Engine>,
    /// Number of parts that are ranges of sled.
    ranges: usize,
    /// Users besides those in sled, or all users of the scan.
    listed: Vec<UserHash>,
    rows: Vec<RowId>,
}

impl StoreScan {
    pub(super) fn new(engine: Arc<Engine>, since: Option<Position>) -> Result<Self, StoreError> {
        let mut listed = engine.index.users_since(since.unwrap_or(Position::NONE));
        if let Some(since) = since {
            if since < engine.index.forgotten_before() {
                let source = "the journal's index does not reach back so far".into();
                return Err(StoreError::Unavailable { doing: "looking for users with later frames", source });
            }
            let row = |user| engine.index.get(user).map(|newest| RowId(newest.slot));
            let rows = listed.iter().filter_map(row).collect();
            return Ok(Self { ranges: 0, listed, rows, engine });
        }
        // New users, which no checkpoint has seen. One that is written to sled from now on is here, too.
        let mut failed = None;
        listed.retain(|user| match engine.sled.has_user(user) {
            Ok(is_in_sled) => !is_in_sled,
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(Self { ranges: 1 << RANGE_BITS, listed, rows: Vec::new(), engine }),
        }
    }

    /// Visits the users of a range of sled.
    fn visit_range(&self, range: usize, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let engine = &*self.engine;
        let end = (range + 1 < self.ranges).then(|| first_hash(range + 1));
        let mut after = Bound::Included(first_hash(range));
        loop {
            // Read before the records: a checkpoint that has the index forget a user has written its record before.
            let forgotten = engine.index.forgotten_before();
            let found = engine.sled.users_between(after, end, BATCH_USERS)?;
            let Some(last) = found.last().map(|last| last.user) else { return Ok(()) };
            for ScannedUser { user, record } in found {
                let newest = engine.index.get(&user);
                let is_newest = |record: &SealedRecord| match newest {
                    Some(newest) => newest.sequence == record.number,
                    None => engine.index.forgotten_before() == forgotten,
                };
                match record.filter(is_newest).filter(|record| record.kind == kind::USER) {
                    Some(record) => pass(self.open(&user, &record), visit)?,
                    None => self.visit_user(&user, visit)?,
                }
            }
            after = Bound::Excluded(last);
        }
    }

    /// Opens the record of a user without later frames.
    fn open(&self, user: &UserHash, record: &SealedRecord) -> Result<VisitedUser, StoreError> {
        let engine = &*self.engine;
        engine.sled.check_quarantine(user)?;
        let (row, cipher) = (
            RowId(record.slot),
            match engine.user_key(record.slot, record.generation) {
                Ok(key) => key.cipher(),
                Err(KeyFault::Erased) => {
                    let tombstone = erased_by_slot(engine, record.slot, record.number)?;
                    return Ok(VisitedUser::Erased(RowId(record.slot), tombstone));
                }
                Err(KeyFault::Store(error)) => return Err(error),
            },
        );
        let packed = engine.sled.open_user(&cipher, record)?.state;
        Ok(VisitedUser::Living(StoredState { row, packed: Some(packed), frames: Vec::new() }))
    }

    fn visit_user(&self, user: &UserHash, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut loaded = Loaded::default();
        match load(&self.engine, user, None, &mut loaded) {
            Ok(None) => Ok(()),
            Ok(Some(LoadedUser::Erased { row, tombstone })) => pass(Ok(VisitedUser::Erased(row, tombstone)), visit),
            Ok(Some(LoadedUser::Living { row, .. })) => {
                let Loaded { packed, frames } = loaded;
                pass(Ok(VisitedUser::Living(StoredState { row, packed, frames })), visit)
            }
            Err(error) => pass(Err(error), visit),
        }
    }
}

type Visit<'a> = dyn FnMut(Result<VisitedUser, StoreError>) + 'a;

/// Passes on what was read of a user. A store that cannot be read ends the scan, as other users cannot be read either.
fn pass(read: Result<VisitedUser, StoreError>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    match read {
        Err(error @ StoreError::Unavailable { .. }) => Err(error),
        other => {
            visit(other);
            Ok(())
        }
    }
}

/// Returns the first hash of a range.
fn first_hash(range: usize) -> UserHash {
    let mut hash = [0; 16];
    let bits = (range as u16) << (u16::BITS - RANGE_BITS);
    hash[..2].copy_from_slice(&bits.to_be_bytes());
    UserHash(hash)
}

impl UserScan for StoreScan {
    fn parts(&self) -> usize {
        self.ranges + self.listed.len().div_ceil(LISTED_USERS)
    }

    fn rows(&self) -> &[RowId] {
        &self.rows
    }

    fn visit(&self, part: usize, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        match part.checked_sub(self.ranges) {
            None => self.visit_range(part, visit),
            Some(part) => {
                let users = self.listed.chunks(LISTED_USERS).nth(part).unwrap_or_default();
                users.iter().try_for_each(|user| self.visit_user(user, visit))
            }
        }
    }
}

/// Keeps what a load hands out.
#[derive(Default)]
struct Loaded {
    packed: Option<Vec<u8>>,
    frames: Vec<Record>,
}

impl LoadVisitor for Loaded {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.packed = state;
        self.frames.clear();
        Ok(())
    }

    fn needs_history(&self) -> bool {
        false
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.frames.push(record.clone());
        Ok(())
    }
}
