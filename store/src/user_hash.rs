//! The keyed hash that stands for a user id in every file, so that no file lists people.

use std::fmt;

use domain::id::UserId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::locked::Locked;

/// The first 16 bytes of HMAC-SHA-256(user-hash key, user id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserHash(pub(crate) [u8; 16]);

impl fmt::Debug for UserHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Hashes user ids.
pub(crate) struct UserHasher(Locked<Hmac<Sha256>>);

impl UserHasher {
    /// Hashes with `key`, the keyring's user-hash key. It never rotates, because the hashes are part of sled's keys.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Locked::new(Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length")))
    }

    pub(crate) fn hash(&self, user: &UserId) -> UserHash {
        let mut mac = Hmac::clone(&self.0);
        mac.update(user.as_str().as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        UserHash(hash)
    }
}
