//! Cursors: where a subscriber stands, in a form that only this server reads.

use domain::id::UserId;
use domain::profile::push_hex;
use domain::state::UserState;
use domain::table::LeafSet;
use sha2::{Digest, Sha256};

/// Makes and reads cursors. The key keeps masks and fields in them unreadable; the epoch changes when a backup is
/// restored, so that a revision that comes again is not taken for the one that was seen. User and revision are under the
/// key, too: whoever could choose them would learn what changed while it was hidden from them.
#[derive(Debug)]
pub(crate) struct CursorKey {
    pub(crate) epoch: u64,
    pub(crate) key: [u8; 16],
}

impl CursorKey {
    /// The cursor of one who holds `state` of `user` as `class` sees it.
    pub(super) fn cursor(&self, user: &UserId, state: &UserState, class: LeafSet) -> String {
        self.write(user, state.envelope.revision, state.generation, class)
    }

    fn write(&self, user: &UserId, revision: u64, generation: u32, class: LeafSet) -> String {
        let hash = Sha256::new()
            .chain_update(self.key)
            .chain_update(revision.to_be_bytes())
            .chain_update(generation.to_be_bytes())
            .chain_update(class.bits().to_be_bytes())
            .chain_update(user.as_str())
            .finalize();
        let mut cursor = format!("e{}-r{revision}-c", self.epoch);
        push_hex(&mut cursor, &hash[..8]);
        cursor
    }

    /// The revision that `cursor` names; `None` unless it was made by this store for this user, class and generation.
    pub(crate) fn revision(&self, cursor: &str, user: &UserId, state: &UserState, class: LeafSet) -> Option<u64> {
        let revision = cursor.split('-').nth(1)?.strip_prefix('r')?.parse().ok()?;
        (self.write(user, revision, state.generation, class) == cursor).then_some(revision)
    }
}
