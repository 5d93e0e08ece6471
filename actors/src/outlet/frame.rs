//! The frames of the live protocol, as JSON text that a whole mask class shares.

use bytes::Bytes;
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::profile::push_hex;
use domain::state::UserState;
use domain::table::LeafSet;
use json_patch::Patch;
use sha2::{Digest, Sha256};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The whole document: what came before it no longer counts.
    Profile,
    /// From one revision to the next.
    Patch,
    /// Nothing is visible any more. Should that change, a profile follows.
    Gone,
    /// The actor is no more, and nothing follows: subscribe again. It has no text.
    Resync,
}

/// One message to a subscriber.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The subscription that it belongs to.
    pub subscription: u64,
    /// Whom it is about.
    pub user: UserId,
    /// What it is.
    pub kind: FrameKind,
    /// The revision that the subscriber holds after it.
    pub revision: u64,
    /// The JSON text, without the `id` of the subscribe request: everybody of a class shares the bytes. It begins
    /// with `{`, after which an `id` can be put.
    pub text: Bytes,
}

/// Every how many revisions a patch carries a hash of the view that it leads to.
const VIEW_HASH_EVERY: u64 = 64;

/// Makes cursors: the key keeps masks and fields in them unreadable.
#[derive(Debug)]
pub(crate) struct CursorKey {
    pub(crate) epoch: u64,
    pub(crate) key: [u8; 16],
}

impl CursorKey {
    fn cursor(&self, revision: u64, class: LeafSet) -> String {
        let hash = Sha256::new().chain_update(self.key).chain_update(class.bits().to_be_bytes()).finalize();
        let mut cursor = format!("e{}-r{revision}-c", self.epoch);
        push_hex(&mut cursor, &hash[..8]);
        cursor
    }
}

/// `{"type":"profile",…}`: the state as a class sees it.
pub(crate) fn profile(user: &UserId, state: &UserState, class: LeafSet, cursors: &CursorKey) -> Bytes {
    let revision = state.envelope.revision;
    let view = serialize::view(state, class);
    let cursor = cursors.cursor(revision, class);
    let user = user.as_str();
    let mut text =
        format!(r#"{{"type":"profile","user_id":"{user}","cursor":"{cursor}","revision":{revision},"profile":"#)
            .into_bytes();
    text.extend_from_slice(&view);
    text.push(b'}');
    text.into()
}

/// `{"type":"patch",…}`: one revision's step as a class sees it; without operations where it sees nothing of it.
pub(crate) fn patch(
    user: &UserId,
    state: &UserState,
    base: u64,
    patch: &Patch,
    class: LeafSet,
    cursors: &CursorKey,
) -> Bytes {
    let revision = state.envelope.revision;
    let cursor = cursors.cursor(revision, class);
    // Operations are JSON values already: writing them cannot fail.
    let operations = serde_json::to_string(patch).unwrap_or_else(|_| "[]".to_owned());
    let envelope = serialize::envelope(state);
    let user = user.as_str();
    let mut text = format!(
        r#"{{"type":"patch","user_id":"{user}","base_revision":{base},"revision":{revision},"cursor":"{cursor}","operations":{operations},"envelope":{envelope}"#
    );
    if revision / VIEW_HASH_EVERY != base / VIEW_HASH_EVERY {
        text.push_str(r#","view_hash":""#);
        push_hex(&mut text, &Sha256::digest(serialize::view(state, class)));
        text.push('"');
    }
    text.push('}');
    text.into()
}

/// `{"type":"gone",…}`.
pub(crate) fn gone(user: &UserId) -> Bytes {
    format!(r#"{{"type":"gone","user_id":"{}"}}"#, user.as_str()).into()
}

/// The word that nothing follows.
pub(crate) fn resync(user: UserId, subscription: u64) -> Frame {
    Frame { subscription, user, kind: FrameKind::Resync, revision: 0, text: Bytes::new() }
}
