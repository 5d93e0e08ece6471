//! Loading a user's history.

use domain::port::retention::SideRecords;
use domain::port::store::{LoadVisitor, SideKey, SideKind, SideRecord, StoreError};

use crate::engine::Engine;
use crate::seal::{Cipher, kind};
use crate::user_hash::UserHash;

/// The side records of one user.
pub(crate) struct History<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) user: &'a UserHash,
    pub(crate) generation: u32,
    pub(crate) cipher: &'a Cipher,
}

impl SideRecords for History<'_> {
    fn keys(&self, kind: SideKind) -> Result<Vec<SideKey>, StoreError> {
        self.engine.sled.side_records(self.user, kind)
    }

    fn read(&self, key: SideKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.open(key)?.map(|record| record.body))
    }
}

impl History<'_> {
    /// Passes the side records that the visitor asks for.
    pub(super) fn visit_side_records(&self, visitor: &mut dyn LoadVisitor) -> Result<(), StoreError> {
        let Some(kind) = visitor.side_kind() else { return Ok(()) };
        for key in self.engine.sled.side_records(self.user, kind)? {
            if let Some(record) = self.open(key)? {
                visitor.side_record(record)?;
            }
        }
        Ok(())
    }

    /// Passes history to `visitor`: bases until it has accepted one, then the blocks from that one on, oldest first. The
    /// visitor looks for revision `since`.
    ///
    /// The user's state is read before the blocks. A checkpoint meanwhile only adds records, so none up to the state is
    /// missed.
    pub(super) fn visit(&self, since: u64, visitor: &mut dyn LoadVisitor) -> Result<(), StoreError> {
        let first = self.visit_bases(since, visitor)?;
        let blocks = self.engine.sled.side_records(self.user, SideKind::HISTORY)?;
        for key in blocks.into_iter().filter(|key| key.number >= first) {
            if visitor.is_done() {
                break;
            }
            if let Some(block) = self.open(key)? {
                visitor.block(&block.body)?;
            }
        }
        Ok(())
    }

    /// Passes bases to the visitor, and returns the number of the newest one that it has accepted; 0 if there is none. How
    /// many are looked at grows with the logarithm of their number.
    fn visit_bases(&self, since: u64, visitor: &mut dyn LoadVisitor) -> Result<u64, StoreError> {
        let bases = self.engine.sled.side_records(self.user, SideKind::BASE)?;
        let mut accepts = |key: SideKey| match self.open(key)? {
            Some(base) => visitor.base(base.body),
            None => Ok(false),
        };
        // A revision is not greater than the sequence of the record that made it. So these bases are not after it.
        let mut start = bases.partition_point(|base| base.number <= since.saturating_add(1));
        let (oldest, mut end, mut accepted) = (start, bases.len(), 0);
        while start < end {
            let middle = start + (end - start) / 2;
            if accepts(bases[middle])? {
                (start, accepted) = (middle + 1, bases[middle].number);
            } else {
                end = middle;
            }
        }
        if accepted > 0 {
            return Ok(accepted);
        }
        for base in bases.into_iter().take(oldest).rev() {
            if accepts(base)? {
                return Ok(base.number);
            }
        }
        Ok(0)
    }

    /// Returns the newest block, if no base follows it.
    pub(crate) fn newest_block(&self) -> Result<Option<SideRecord>, StoreError> {
        let newest = |kind| self.engine.sled.newest_side_record(self.user, kind);
        match (newest(SideKind::HISTORY)?, newest(SideKind::BASE)?) {
            (Some(block), base) if base.is_none_or(|base| base.number <= block.number) => self.open(block),
            _ => Ok(None),
        }
    }

    /// Opens a side record; `None` if there is none of the generation. Those of an earlier generation are sealed under a key
    /// that was destroyed.
    fn open(&self, key: SideKey) -> Result<Option<SideRecord>, StoreError> {
        match self.engine.sled.side_record(self.user, key)? {
            Some(sealed) if sealed.generation == self.generation => {
                let body = self.engine.sled.open_record(self.cipher, kind::side_record(key.kind), &sealed)?;
                Ok(Some(SideRecord { key, body }))
            }
            _ => Ok(None),
        }
    }
}
