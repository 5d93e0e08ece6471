//! Cursors of followers: opaque, and valid for every caller with the same scopes under the same policy.
//!
//! Every cursor is a new text, whether or not its position has moved. Otherwise a follower that receives nothing would
//! learn from its cursor that something happened to users that are hidden from it.

use std::sync::Arc;

use domain::access::Viewer;
use domain::port::clock::Entropy;
use domain::port::log::LogPosition;

use crate::cursor_cipher::{CursorCipher, NONCE_BYTES, TAG_BYTES, from_hex, to_hex};

const EPOCH_BYTES: usize = 8;
/// Bytes of the two journal positions of a [`CursorPosition`].
const CONTENT_BYTES: usize = 16;
const SEALED_BYTES: usize = CONTENT_BYTES + TAG_BYTES;

/// A follower's position in the journal. It continues over all of the client's streams that resume each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorPosition {
    /// The position after everything that the follower has read.
    pub(super) at: LogPosition,
    /// The end of the journal when the first of the streams began. The follower never received what had been withdrawn
    /// before it.
    pub(super) began: LogPosition,
}

/// Writes and reads the cursors of one store.
pub(super) struct Cursors {
    pub(super) epoch: u64,
    pub(super) cipher: Arc<CursorCipher>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// Who may use a cursor: callers with the same role and scopes, under one version of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorScope([u8; 6]);

/// Why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The text does not have the form of a cursor.
    Malformed,
    /// It was made by another store, or before a backup was restored.
    Epoch,
    /// It was made for a caller with other scopes, or under another policy.
    Scope,
}

impl CursorScope {
    pub(super) fn new(viewer: &Viewer, policy_version: u32) -> Self {
        let (role, scopes) = match viewer {
            Viewer::Service { profile_read, third_party, ai_context } => {
                (1, u8::from(*profile_read) | u8::from(*third_party) << 1 | u8::from(*ai_context) << 2)
            }
            Viewer::Admin { profile_read } => (2, u8::from(*profile_read)),
            // They may not follow all users.
            Viewer::SelfCitizen(_) | Viewer::Agent { .. } | Viewer::Auditor => (0, 0),
        };
        let [a, b, c, d] = policy_version.to_be_bytes();
        Self([role, scopes, a, b, c, d])
    }
}

impl Cursors {
    /// Returns the epoch, a nonce and the sealed position, in hexadecimal.
    pub(super) fn write(&self, position: CursorPosition, scope: CursorScope) -> String {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let mut content = [0; CONTENT_BYTES];
        content[..8].copy_from_slice(&position.at.0.to_be_bytes());
        content[8..].copy_from_slice(&position.began.0.to_be_bytes());
        let sealed = self.cipher.seal(&nonce, &content, &self.associated_data(scope));
        to_hex(&[&self.epoch.to_be_bytes(), &nonce, &sealed])
    }

    /// Returns the position of a cursor that was written for `scope`.
    pub(super) fn read(&self, text: &str, scope: CursorScope) -> Result<CursorPosition, Refusal> {
        let bytes: [u8; EPOCH_BYTES + NONCE_BYTES + SEALED_BYTES] = from_hex(text).ok_or(Refusal::Malformed)?;
        let (epoch, rest) = bytes.split_at(EPOCH_BYTES);
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        if epoch != self.epoch.to_be_bytes() {
            return Err(Refusal::Epoch);
        }
        let nonce = nonce.try_into().map_err(|_| Refusal::Malformed)?;
        let content = self.cipher.open::<CONTENT_BYTES>(nonce, sealed, &self.associated_data(scope));
        let both = u128::from_be_bytes(content.ok_or(Refusal::Scope)?);
        Ok(CursorPosition { at: LogPosition((both >> 64) as u64), began: LogPosition(both as u64) })
    }

    /// Returns the associated data of the seal.
    fn associated_data(&self, scope: CursorScope) -> Vec<u8> {
        [&b"events"[..], &self.epoch.to_be_bytes(), &scope.0].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: false };

    /// Bytes that differ at every call.
    #[derive(Default)]
    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            bytes.iter_mut().zip(count.into_iter().cycle()).for_each(|(byte, count)| *byte = count);
        }
    }

    fn with_epoch(epoch: u64) -> Cursors {
        let entropy = Arc::new(Counting::default());
        Cursors { epoch, cipher: Arc::new(CursorCipher::new(&[3; 32])), entropy }
    }

    #[test]
    fn a_cursor_does_not_show_whether_its_position_has_moved() {
        let (cursors, scope) = (with_epoch(7), CursorScope::new(&SERVICE, 1));
        let at = |position| CursorPosition { at: LogPosition(position), began: LogPosition(5) };
        let written = [5, 5, 6, u64::MAX].map(|position| cursors.write(at(position), scope));
        for (index, one) in written.iter().enumerate() {
            assert_eq!(one.len(), written[0].len());
            for other in &written[index + 1..] {
                let same = (0..one.len()).filter(|place| one[*place..=*place] == other[*place..=*place]).count();
                // All have the epoch. Of the rest, equal digits are chance.
                assert!(same < one.len() / 2, "{one} {other}");
            }
        }
    }

    #[test]
    fn a_cursor_is_valid_for_the_same_scopes_under_the_same_policy_only() {
        let cursors = with_epoch(7);
        let scope = CursorScope::new(&SERVICE, 1);
        let at = |position| CursorPosition { at: LogPosition(position), began: LogPosition(u64::MAX) };
        let cursor = cursors.write(at(99), scope);
        assert_eq!(cursors.read(&cursor, scope), Ok(at(99)));
        let other = Viewer::Service { profile_read: true, third_party: true, ai_context: false };
        for other in [CursorScope::new(&SERVICE, 2), CursorScope::new(&other, 1)] {
            assert_eq!(cursors.read(&cursor, other), Err(Refusal::Scope));
        }
        let restored = with_epoch(8);
        assert_eq!(restored.read(&cursor, scope), Err(Refusal::Epoch));
        let (start, end) = cursor.split_at(51);
        let moved = format!("{start}{}{}", if end.starts_with('0') { '1' } else { '0' }, &end[1..]);
        assert_eq!(cursors.read(&moved, scope), Err(Refusal::Scope));
        for bad in ["", "oldest", &cursor[1..], &cursor.to_uppercase(), &format!("{cursor}0")] {
            assert_eq!(cursors.read(bad, scope), Err(Refusal::Malformed), "{bad}");
        }
    }
}
