//! The hash under which verified tokens are remembered.

use std::hash::{BuildHasher, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

/// A keyed hash of a token or of the secret of a session. Without the key nobody can make two with the same hash, and with
/// 128 bits it does not happen by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash(u128);

/// The key of the hashes, which is random in each run of the server.
pub(super) struct TokenHashKey([u8; 16]);

/// What is hashed. The same text as a token and as a secret has different hashes.
#[derive(Clone, Copy)]
pub(super) enum Hashed {
    Token = 0,
    SessionSecret = 1,
    Subject = 2,
}

impl TokenHash {
    /// Returns half of the hash, for tables where two texts with the same hash do little harm.
    pub(super) const fn half(self) -> u64 {
        self.0 as u64
    }
}

impl TokenHashKey {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// Returns the hash of a text.
    pub(super) fn hash(&self, kind: Hashed, text: &[u8]) -> TokenHash {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(text);
        hasher.write_u8(kind as u8);
        TokenHash(hasher.finish128().as_u128())
    }
}

/// Hashes a [`TokenHash`] for a map. It is random already, so its bits are taken as they are.
#[derive(Clone, Copy, Default)]
pub(super) struct TakeBits(u64);

impl Hasher for TakeBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

impl BuildHasher for TakeBits {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_key_the_kind_and_the_text() {
        let keys = [[1; 16], [2; 16]].map(TokenHashKey::new);
        let mut hashes = Vec::new();
        for key in &keys {
            for kind in [Hashed::Token, Hashed::SessionSecret] {
                hashes.extend(["", "a", "b"].map(|text| key.hash(kind, text.as_bytes())));
            }
        }
        assert!(hashes.iter().enumerate().all(|(place, hash)| !hashes[..place].contains(hash)));
        assert_eq!(keys[0].hash(Hashed::Token, b"a"), hashes[1]);
    }
}
