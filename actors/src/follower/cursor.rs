//! Cursors of followers: opaque, and good for whoever sees the same under the same policy.
//!
//! The place in them is not to be read: by how far it moves it would tell the length of frames, hidden values included,
//! and how much happens to users of whom one may not know.

use domain::access::Viewer;
use domain::port::log::LogPosition;
use domain::profile::push_hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of epoch, sealed standing and tag.
const BYTES: usize = 8 + 16 + 16;

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
    pub(super) key: [u8; 16],
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
    pub(super) fn write(&self, standing: Standing, audience: Audience) -> String {
        let mut text = String::with_capacity(2 * BYTES);
        push_hex(&mut text, &self.epoch.to_be_bytes());
        let tag = self.tag(standing, audience);
        let both = u128::from(standing.position.0) << 64 | u128::from(standing.began.0);
        push_hex(&mut text, &(both ^ self.pad(tag)).to_be_bytes());
        push_hex(&mut text, &tag);
        text
    }

    pub(super) fn read(&self, text: &str, audience: Audience) -> Result<Standing, Refusal> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * BYTES || !text.bytes().all(is_digit) {
            return Err(Refusal::Malformed);
        }
        let number = |digits: &str| u128::from_str_radix(digits, 16).map_err(|_| Refusal::Malformed);
        let (epoch, sealed, tag) = (number(&text[..16])?, number(&text[16..48])?, number(&text[48..])?.to_be_bytes());
        if epoch != u128::from(self.epoch) {
            return Err(Refusal::Epoch);
        }
        let both = sealed ^ self.pad(tag);
        let standing = Standing { position: LogPosition((both >> 64) as u64), began: LogPosition(both as u64) };
        // Nothing is gained by guessing: a place gives away no more than reading from the oldest one.
        if self.write(standing, audience) == text { Ok(standing) } else { Err(Refusal::Audience) }
    }

    fn tag(&self, standing: Standing, audience: Audience) -> [u8; 16] {
        let tag = self
            .mac()
            .chain_update(b"events")
            .chain_update(self.epoch.to_be_bytes())
            .chain_update(standing.position.0.to_be_bytes())
            .chain_update(standing.began.0.to_be_bytes())
            .chain_update(audience.0)
            .finalize()
            .into_bytes();
        std::array::from_fn(|index| tag[index])
    }

    /// What seals the standing: the tag is of it, so no pad serves two of them.
    fn pad(&self, tag: [u8; 16]) -> u128 {
        let pad = self.mac().chain_update(b"place").chain_update(tag).finalize().into_bytes();
        u128::from_be_bytes(std::array::from_fn(|index| pad[index]))
    }

    fn mac(&self) -> Hmac<Sha256> {
        let mut block = [0; 64];
        block[..16].copy_from_slice(&self.key);
        Hmac::new(&block.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: false };

    #[test]
    fn a_cursor_is_good_for_the_same_sight_under_the_same_policy_only() {
        let cursors = Cursors { epoch: 7, key: [3; 16] };
        let audience = Audience::new(&SERVICE, 1);
        let at = |position| Standing { position: LogPosition(position), began: LogPosition(u64::MAX) };
        let cursor = cursors.write(at(99), audience);
        assert_eq!(cursors.read(&cursor, audience), Ok(at(99)));
        let other = Viewer::Service { profile_read: true, third_party: true, ai_context: false };
        for other in [Audience::new(&SERVICE, 2), Audience::new(&other, 1)] {
            assert_eq!(cursors.read(&cursor, other), Err(Refusal::Audience));
        }
        let restored = Cursors { epoch: 8, key: [3; 16] };
        assert_eq!(restored.read(&cursor, audience), Err(Refusal::Epoch));
        let (start, end) = cursor.split_at(31);
        let moved = format!("{start}{}{}", if end.starts_with('0') { '1' } else { '0' }, &end[1..]);
        assert_eq!(cursors.read(&moved, audience), Err(Refusal::Audience));
        let next = cursors.write(at(100), audience);
        for (from, to) in [(16, 30), (32, 46)] {
            assert_ne!(cursor[from..to], next[from..to], "how far a place moves is not to be read");
        }
        for bad in ["", "oldest", &cursor[1..], &cursor.to_uppercase(), &format!("{cursor}0")] {
            assert_eq!(cursors.read(bad, audience), Err(Refusal::Malformed), "{bad}");
        }
    }
}
