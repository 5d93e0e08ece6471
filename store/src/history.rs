//! Loading a user with as much history as is asked for.

use domain::port::store::{HistoryBlock, StoreError};

use crate::seal::kind;
use crate::shared::{Loaded, Shared};
use crate::user_hash::UserHash;

impl Shared {
    /// Loads a user, and the closed history blocks that may hold revisions after `since`.
    ///
    /// The user's record, with the open block in it, is read before the closed ones. A checkpoint writes a closed block
    /// before the record that no longer has it, so nothing falls between.
    pub(crate) fn load_history(
        &self,
        user: &UserHash,
        since: u64,
    ) -> Result<Option<(Loaded, Vec<HistoryBlock>)>, StoreError> {
        let Some(loaded) = self.load(user)? else { return Ok(None) };
        let mut blocks = Vec::new();
        for block in self.sled.history(user, since)? {
            // What an earlier generation left behind is sealed under a key that is no more.
            if block.generation == loaded.generation {
                let cipher = self.cipher(block.slot, block.generation)?;
                let body = self.sled.open_record(&cipher, kind::HISTORY_BLOCK, &block)?;
                blocks.push(HistoryBlock { first_revision: block.number, body });
            }
        }
        Ok(Some((loaded, blocks)))
    }
}
