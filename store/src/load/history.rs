//! Loading a user's closed history blocks.

use domain::port::store::{LoadVisitor, StoreError};

use crate::engine::Engine;
use crate::seal::kind;
use crate::user_hash::UserHash;

/// Passes the closed history blocks that may hold revisions after `since` to `visitor`, newest first.
///
/// The user's record, which includes the open block, is read before the closed blocks. A checkpoint writes a closed block
/// before the record that no longer includes it, so no revision is missed between the two reads.
pub(super) fn visit_history(
    engine: &Engine,
    user: &UserHash,
    generation: u32,
    since: u64,
    visitor: &mut dyn LoadVisitor,
) -> Result<(), StoreError> {
    for key in engine.sled.history(user, since)?.iter().rev() {
        let Some(block) = engine.sled.history_block(user, key)? else { continue };
        // Blocks of an earlier generation are sealed under a key that was destroyed.
        if block.generation == generation {
            let cipher = engine.cipher(block.slot, block.generation)?;
            visitor.block(&engine.sled.open_record(&cipher, kind::HISTORY_BLOCK, &block)?)?;
        }
    }
    Ok(())
}
