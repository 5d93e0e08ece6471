//! Loading a user's history blocks.

use domain::port::store::{LoadVisitor, SideKey, SideKind, SideRecord, StoreError};

use crate::engine::Engine;
use crate::seal::{Cipher, kind};
use crate::user_hash::UserHash;

/// Passes the history blocks that may hold revisions after `since` to `visitor`, newest first.
///
/// The user's state is read before the blocks. A checkpoint meanwhile only adds entries, so no revision up to the state
/// is missed.
pub(super) fn visit_history(
    engine: &Engine,
    user: &UserHash,
    (generation, cipher): (u32, &Cipher),
    since: u64,
    visitor: &mut dyn LoadVisitor,
) -> Result<(), StoreError> {
    // The block before the first one that starts after `since` may also hold later revisions.
    let first = since.saturating_add(1);
    for key in engine.sled.side_records_since(user, SideKind::HISTORY, first)?.into_iter().rev() {
        if !visitor.needs_history() {
            break;
        }
        if let Some(block) = open_side_record(engine, user, key, (generation, cipher))? {
            visitor.block(&block.body)?;
        }
    }
    Ok(())
}

/// Returns a user's newest history block; `None` if there is none of the generation.
pub(crate) fn newest_block(
    engine: &Engine,
    user: &UserHash,
    (generation, cipher): (u32, &Cipher),
) -> Result<Option<SideRecord>, StoreError> {
    match engine.sled.newest_side_record(user, SideKind::HISTORY)? {
        Some(key) => open_side_record(engine, user, key, (generation, cipher)),
        None => Ok(None),
    }
}

/// Opens a side record; `None` if there is none of the generation. Those of an earlier generation are sealed under a key
/// that was destroyed.
fn open_side_record(
    engine: &Engine,
    user: &UserHash,
    key: SideKey,
    (generation, cipher): (u32, &Cipher),
) -> Result<Option<SideRecord>, StoreError> {
    match engine.sled.side_record(user, key)? {
        Some(sealed) if sealed.generation == generation => {
            let body = engine.sled.open_record(cipher, kind::side_record(key.kind), &sealed)?;
            Ok(Some(SideRecord { key, body }))
        }
        _ => Ok(None),
    }
}
