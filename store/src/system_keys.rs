//! Keys of records that belong to no user.

use std::path::Path;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::OpenError;
use crate::keyring;
use crate::locked::Locked;
use crate::options::MasterKey;
use crate::seal::{KEY_BYTES, SecretKey};

/// Derives a key for each purpose from the keyring's system root key. The root never leaves the keyring's header and stays
/// the same when the master key or the ring key is rotated, so the derived keys do, too.
#[derive(Clone)]
pub struct SystemKeys(Arc<Locked<SecretKey>>);

impl SystemKeys {
    pub(crate) fn new(root: SecretKey) -> Self {
        Self(Arc::new(Locked::new(root)))
    }

    /// Reads the root from the keyring of a data directory, which is neither locked nor changed.
    ///
    /// # Errors
    /// The keyring cannot be read, or the master key does not open it.
    pub fn read(data_dir: &Path, master: &MasterKey) -> Result<Self, OpenError> {
        keyring::read_system_keys(data_dir, master)
    }

    /// Returns the key for a purpose: HKDF-SHA256 of the root, with `purpose` as the info. The same purpose gives the same
    /// key for the life of the data directory.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        self.derive_salted(&[], purpose)
    }

    /// Returns the key for a purpose and one of its files, which `salt` distinguishes.
    pub(crate) fn derive_salted(&self, salt: &[u8], purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(Some(salt), self.0.bytes())
            .expand(purpose.as_bytes(), &mut *key)
            .expect("a key is far shorter than 255 hashes");
        key
    }
}

impl std::fmt::Debug for SystemKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_roots_and_salts_have_different_keys() {
        let keys = SystemKeys::new(SecretKey::new([1; KEY_BYTES]));
        assert_eq!(keys.derive("cursors"), keys.derive("cursors"));
        assert_ne!(keys.derive("cursors"), keys.derive("log"));
        assert_ne!(keys.derive("cursors"), keys.derive_salted(b"salt", "cursors"));
        assert_ne!(keys.derive("cursors"), SystemKeys::new(SecretKey::new([2; KEY_BYTES])).derive("cursors"));
    }
}
