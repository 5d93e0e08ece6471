//! Loading a user's history.

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

impl History<'_> {
    /// Passes history to `visitor`: bases until it has accepted one, then the blocks from that one on, oldest first. The
    /// visitor looks for revision `since`.
    ///
    /// The user's state is read before the blocks. A checkpoint meanwhile only adds records, so none up to the state is
    /// missed.
    pub(super) fn visit(&self, since: u64, visitor: &mut dyn LoadVisitor) -> Result<(), StoreError> {
        let blocks = self.engine.sled.side_records(self.user, SideKind::HISTORY)?;
        let first = self.first_block(&blocks, since, visitor)?;
        for key in blocks.into_iter().skip(first) {
            if visitor.is_done() {
                break;
            }
            if let Some(block) = self.open(key)? {
                visitor.block(&block.body)?;
            }
        }
        Ok(())
    }

    /// Returns the place of the newest block that the visitor can begin with. The number of blocks that are looked at grows
    /// with the logarithm of their number. A base that is missing counts as one that is too new.
    fn first_block(&self, blocks: &[SideKey], since: u64, visitor: &mut dyn LoadVisitor) -> Result<usize, StoreError> {
        let mut accepts = |place: usize| match blocks.get(place) {
            Some(block) => match self.open(SideKey { kind: SideKind::BASE, ..*block })? {
                Some(base) => visitor.base(base.body),
                None => Ok(false),
            },
            None => Ok(false),
        };
        // A revision is not greater than the sequence of the record that made it, so that it comes before no block whose
        // number is at most as great.
        let (mut start, mut end) = (blocks.partition_point(|block| block.number <= since).max(1) - 1, blocks.len());
        let mut is_accepted = false;
        while start + 1 < end {
            let middle = start + (end - start) / 2;
            if accepts(middle)? {
                (start, is_accepted) = (middle, true);
            } else {
                end = middle;
            }
        }
        while !is_accepted && start > 0 && !accepts(start)? {
            start -= 1;
        }
        Ok(start)
    }

    /// Returns the newest block, if records can be added to it: there is no base after it.
    pub(crate) fn open_block(&self) -> Result<Option<SideRecord>, StoreError> {
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
