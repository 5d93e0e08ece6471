//! Loading a user's closed history blocks.

use domain::port::store::{LoadVisitor, StoreError};

use crate::engine::Engine;
use crate::seal::kind;
use crate::user_hash::UserHash;

impl Engine {
    /// Hands the closed history blocks that may hold revisions after `since` to `visitor`, the newest first.
    ///
    /// The user's record, with the open block in it, is read before the closed ones. A checkpoint writes a closed block
    /// before the record that no longer has it, so nothing falls between.
    pub(crate) fn visit_history(
        &self,
        user: &UserHash,
        generation: u32,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<(), StoreError> {
        for key in self.sled.history(user, since)?.iter().rev() {
            let Some(block) = self.sled.history_block(user, key)? else { continue };
            // What an earlier generation left behind is sealed under a key that is no more.
            if block.generation == generation {
                let cipher = self.cipher(block.slot, block.generation)?;
                visitor.block(&self.sled.open_record(&cipher, kind::HISTORY_BLOCK, &block)?)?;
            }
        }
        Ok(())
    }
}
