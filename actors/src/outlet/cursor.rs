//! Cursors of subscribers: a sealed revision, which only this server can read.

use std::sync::Arc;

use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::state::UserState;

use crate::cursor_cipher::{CursorCipher, NONCE_BYTES, TAG_BYTES, from_hex, to_hex};

/// Bytes of a revision.
const CONTENT_BYTES: usize = 8;
/// One nonce for all cursors: the same position must give the same text, so that all subscribers of a class share the
/// bytes of a message. AES-GCM-SIV allows it: a repeated nonce only shows that two texts are equal.
const NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

/// Writes and reads cursors. Each is bound to its user, generation and class: a client that could choose those would learn
/// what changed while it was hidden. It is bound to the epoch too, which changes when a backup is restored: the same
/// revision number may then stand for another revision.
pub(crate) struct CursorKey {
    pub(crate) epoch: u64,
    pub(crate) cipher: Arc<CursorCipher>,
}

impl CursorKey {
    /// Returns the cursor of a subscriber that holds `state` as `class` sees it.
    pub(super) fn cursor(&self, user: &UserId, state: &UserState, class: MaskClass) -> String {
        let content = state.envelope.revision.to_be_bytes();
        to_hex(&[&self.cipher.seal(&NONCE, &content, &self.associated_data(user, state, class))])
    }

    /// Returns the revision of a cursor; `None` unless this store made it for this user, class and generation.
    pub(crate) fn revision(&self, cursor: &str, user: &UserId, state: &UserState, class: MaskClass) -> Option<u64> {
        let sealed: [u8; CONTENT_BYTES + TAG_BYTES] = from_hex(cursor)?;
        self.cipher.open(&NONCE, &sealed, &self.associated_data(user, state, class)).map(u64::from_be_bytes)
    }

    /// Returns the associated data of the seal.
    fn associated_data(&self, user: &UserId, state: &UserState, class: MaskClass) -> Vec<u8> {
        let mut data = Vec::with_capacity(96);
        data.extend_from_slice(b"live");
        data.extend_from_slice(&self.epoch.to_be_bytes());
        data.extend_from_slice(&state.generation.to_be_bytes());
        data.extend_from_slice(&class.to_bytes());
        data.extend_from_slice(user.as_str().as_bytes());
        data
    }
}
