//! Cursors of followers: opaque, and good for whoever sees the same under the same policy.
//!
//! Each time one is made it is another text, whether or not its place has moved: a follower who sees nothing must not
//! learn that something happened to users of whom it may not know.

use std::sync::Arc;

use domain::access::Viewer;
use domain::port::clock::Entropy;
use domain::port::log::LogPosition;

use crate::cursor_cipher::{CursorCipher, NONCE_BYTES, TAG_BYTES, from_hex, to_hex};

const EPOCH_BYTES: usize = 8;
/// The two places of a standing.
const CONTENT_BYTES: usize = 16;
const SEALED_BYTES: usize = CONTENT_BYTES + TAG_BYTES;

/// Where a follower stands, over all its streams that went on from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Behind what it has seen.
    pub(super) position: LogPosition,
    /// Where the journal ended when it began: of what had been withdrawn by then it was told nothing, ever.
    pub(super) began: LogPosition,
}

/// Makes and reads cursors.
pub(super) struct Cursors {
    pub(super) epoch: u64,
    pub(super) cipher: Arc<CursorCipher>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// Whose cursors they are: a viewer under a version of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Audience([u8; 6]);

/// Why a cursor leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not in the form of a cursor.
    Malformed,
    /// The store was restored from a backup since, or is another one.
    Epoch,
    /// It was given to somebody who sees something else, or under another policy.
    Audience,
}

impl Audience {
    pub(super) fn new(viewer: &Viewer, policy_version: u32) -> Self {
        let (role, scopes) = match viewer {
            Viewer::Service { profile_read, third_party, ai_context } => {
                (1, u8::from(*profile_read) | u8::from(*third_party) << 1 | u8::from(*ai_context) << 2)
            }
            Viewer::Admin { profile_read } => (2, u8::from(*profile_read)),
            // They follow nobody but themselves, and not here.
            Viewer::SelfCitizen(_) | Viewer::Agent { .. } | Viewer::Auditor => (0, 0),
        };
        let [a, b, c, d] = policy_version.to_be_bytes();
        Self([role, scopes, a, b, c, d])
    }
}

impl Cursors {
    /// The epoch, a nonce, and the sealed standing, in hexadecimal.
    pub(super) fn write(&self, standing: Standing, audience: Audience) -> String {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let mut content = [0; CONTENT_BYTES];
        content[..8].copy_from_slice(&standing.position.0.to_be_bytes());
        content[8..].copy_from_slice(&standing.began.0.to_be_bytes());
        let sealed = self.cipher.seal(&nonce, &content, &self.scope(audience));
        to_hex(&[&self.epoch.to_be_bytes(), &nonce, &sealed])
    }

    pub(super) fn read(&self, text: &str, audience: Audience) -> Result<Standing, Refusal> {
        let bytes: [u8; EPOCH_BYTES + NONCE_BYTES + SEALED_BYTES] = from_hex(text).ok_or(Refusal::Malformed)?;
        let (epoch, rest) = bytes.split_at(EPOCH_BYTES);
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        if epoch != self.epoch.to_be_bytes() {
            return Err(Refusal::Epoch);
        }
        let nonce = nonce.try_into().map_err(|_| Refusal::Malformed)?;
        let content = self.cipher.open::<CONTENT_BYTES>(nonce, sealed, &self.scope(audience));
        let both = u128::from_be_bytes(content.ok_or(Refusal::Audience)?);
        Ok(Standing { position: LogPosition((both >> 64) as u64), began: LogPosition(both as u64) })
    }

    /// What a cursor is bound to beside its content.
    fn scope(&self, audience: Audience) -> Vec<u8> {
        [&b"events"[..], &self.epoch.to_be_bytes(), &audience.0].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: false };

    /// Bytes that are never the same.
    #[derive(Default)]
    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            bytes.iter_mut().zip(count.into_iter().cycle()).for_each(|(byte, count)| *byte = count);
        }
    }

    fn of_epoch(epoch: u64) -> Cursors {
        let entropy = Arc::new(Counting::default());
        Cursors { epoch, cipher: Arc::new(CursorCipher::new(&[3; 32])), entropy }
    }

    #[test]
    fn whether_a_place_has_moved_is_not_to_be_seen() {
        let (cursors, audience) = (of_epoch(7), Audience::new(&SERVICE, 1));
        let at = |position| Standing { position: LogPosition(position), began: LogPosition(5) };
        let written = [5, 5, 6, u64::MAX].map(|position| cursors.write(at(position), audience));
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
    fn a_cursor_is_good_for_the_same_sight_under_the_same_policy_only() {
        let cursors = of_epoch(7);
        let audience = Audience::new(&SERVICE, 1);
        let at = |position| Standing { position: LogPosition(position), began: LogPosition(u64::MAX) };
        let cursor = cursors.write(at(99), audience);
        assert_eq!(cursors.read(&cursor, audience), Ok(at(99)));
        let other = Viewer::Service { profile_read: true, third_party: true, ai_context: false };
        for other in [Audience::new(&SERVICE, 2), Audience::new(&other, 1)] {
            assert_eq!(cursors.read(&cursor, other), Err(Refusal::Audience));
        }
        let restored = of_epoch(8);
        assert_eq!(restored.read(&cursor, audience), Err(Refusal::Epoch));
        let (start, end) = cursor.split_at(51);
        let moved = format!("{start}{}{}", if end.starts_with('0') { '1' } else { '0' }, &end[1..]);
        assert_eq!(cursors.read(&moved, audience), Err(Refusal::Audience));
        for bad in ["", "oldest", &cursor[1..], &cursor.to_uppercase(), &format!("{cursor}0")] {
            assert_eq!(cursors.read(bad, audience), Err(Refusal::Malformed), "{bad}");
        }
    }
}
