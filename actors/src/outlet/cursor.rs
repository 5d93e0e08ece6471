//! Cursors: where a subscriber stands, in a form that only this server reads.

use std::sync::Arc;

use domain::id::UserId;
use domain::state::UserState;
use domain::table::LeafSet;

use crate::cursor_cipher::{CursorCipher, NONCE_BYTES, TAG_BYTES, from_hex, to_hex};

/// The revision.
const CONTENT_BYTES: usize = 8;
/// One for all: the same place is to be the same text, so that everybody of a class shares the bytes of a message.
/// AES-GCM-SIV allows that: equal seals are all that it shows.
const NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

/// Makes and reads cursors. User, generation and class are bound to them: a client that could choose those would learn
/// what changed while it was hidden. So is the epoch, which changes when a backup is restored, so that a revision that comes
/// again is not taken for the one that was seen.
pub(crate) struct CursorKey {
    pub(crate) epoch: u64,
    pub(crate) cipher: Arc<CursorCipher>,
}

impl CursorKey {
    /// The cursor of a subscriber that holds `state` of `user` as `class` sees it.
    pub(super) fn cursor(&self, user: &UserId, state: &UserState, class: LeafSet) -> String {
        let content = state.envelope.revision.to_be_bytes();
        to_hex(&[&self.cipher.seal(&NONCE, &content, &self.scope(user, state, class))])
    }

    /// The revision that `cursor` names; `None` unless it was made by this store for this user, class and generation.
    pub(crate) fn revision(&self, cursor: &str, user: &UserId, state: &UserState, class: LeafSet) -> Option<u64> {
        let sealed: [u8; CONTENT_BYTES + TAG_BYTES] = from_hex(cursor)?;
        self.cipher.open(&NONCE, &sealed, &self.scope(user, state, class)).map(u64::from_be_bytes)
    }

    fn scope(&self, user: &UserId, state: &UserState, class: LeafSet) -> Vec<u8> {
        let mut scope = Vec::with_capacity(96);
        scope.extend_from_slice(b"live");
        scope.extend_from_slice(&self.epoch.to_be_bytes());
        scope.extend_from_slice(&state.generation.to_be_bytes());
        scope.extend_from_slice(&class.bits().to_be_bytes());
        scope.extend_from_slice(user.as_str().as_bytes());
        scope
    }
}
