//! The authentication of a backup: each part is authenticated together with the one before, so that none can be changed,
//! left out, repeated or moved, and parts of two backups cannot be put together.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::header::ID_BYTES;
use crate::SystemKeys;

/// Bytes of the authentication of a part: the start of an HMAC-SHA-256.
pub(crate) const MAC_BYTES: usize = 16;
const KEY_PURPOSE: &str = "profile-server: backup";
const IDENTITY_PURPOSE: &str = "profile-server: keyring identity";

/// Authenticates the parts of a backup in their order.
#[derive(Clone)]
pub(crate) struct ChainMac {
    key: Hmac<Sha256>,
    last: [u8; MAC_BYTES],
}

impl ChainMac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { key, last: [0; MAC_BYTES] }
    }

    /// Returns the chain of the backup with an id.
    pub(crate) fn for_backup(keys: &SystemKeys, id: &[u8; ID_BYTES]) -> Self {
        Self::new(&keys.derive_salted(id, KEY_PURPOSE))
    }

    /// Returns the authentication of the next part.
    pub(crate) fn next(&mut self, part: &[u8]) -> [u8; MAC_BYTES] {
        let mac = self.key.clone().chain_update(self.last).chain_update(part).finalize().into_bytes();
        self.last.copy_from_slice(&mac[..MAC_BYTES]);
        self.last
    }

    /// Returns whether `mac` is the authentication of the next part.
    pub(crate) fn check(&mut self, part: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
        let before = self.last;
        let keyed = self.key.clone().chain_update(before).chain_update(part);
        self.last = *mac;
        // In constant time.
        keyed.verify_truncated_left(mac).is_ok()
    }
}

/// Returns what says which keyring fits, without saying anything about its keys. It stays the same when keys are rotated.
pub(crate) fn keyring_identity(keys: &SystemKeys) -> [u8; ID_BYTES] {
    crate::bytes::array_at(&*keys.derive(IDENTITY_PURPOSE), 0)
}
