//! Sealed tombstones.

use domain::erasure::{TOMBSTONE_BYTES, Tombstone};

use crate::bytes::put;
use crate::seal::{Cipher, KEY_BYTES, Label, NOBODY, NONCE_BYTES, SecretKey, TAG_BYTES, TENANT, kind};
use crate::system_keys::SystemKeys;

/// Bytes of a tombstone as a slot of the keyring holds it.
pub(crate) const SEALED_TOMBSTONE_BYTES: usize = TOMBSTONE_BYTES + TAG_BYTES;
/// A tombstone as a slot of the keyring holds it.
pub(crate) type SealedTombstone = [u8; SEALED_TOMBSTONE_BYTES];

const PURPOSE: &str = "erasures";
const FORMAT: u8 = 1;

/// The key of the system under which tombstones are sealed, in the journal, in sled and in the keyring. It does not change
/// when the ring key is rotated.
pub(crate) struct ErasureKey {
    key: SecretKey,
    cipher: Cipher,
}

impl ErasureKey {
    pub(crate) fn new(keys: &SystemKeys) -> Self {
        let bytes: [u8; KEY_BYTES] = *keys.derive(PURPOSE);
        let key = SecretKey::new(bytes);
        Self { cipher: key.cipher(), key }
    }

    /// Returns the key itself, for frames.
    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Returns the cipher, for frames and records.
    pub(crate) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// Seals a tombstone for a slot of the keyring.
    pub(crate) fn seal(&self, slot: u32, tombstone: &Tombstone) -> SealedTombstone {
        let generation = tombstone.generation;
        let mut content = tombstone.encode().to_vec();
        self.cipher.seal(&nonce(slot, generation), label(slot, generation), &mut content, 0);
        let mut sealed = [0; SEALED_TOMBSTONE_BYTES];
        put(&mut sealed, 0, &content);
        sealed
    }

    /// Opens the tombstone of a generation in a slot of the keyring; `None` if it is not what was sealed.
    pub(crate) fn open(&self, slot: u32, generation: u32, sealed: &SealedTombstone) -> Option<Tombstone> {
        let content = self.cipher.open(&nonce(slot, generation), label(slot, generation), sealed).ok()?;
        Tombstone::decode(&content, generation)
    }
}

/// Returns the nonce of a slot's tombstone. A generation ends once, so the pair of slot and generation is unique.
fn nonce(slot: u32, generation: u32) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[0] = kind::TOMBSTONE;
    put(&mut nonce, 4, &slot.to_le_bytes());
    put(&mut nonce, 8, &generation.to_le_bytes());
    nonce
}

fn label(slot: u32, generation: u32) -> Label {
    Label { kind: kind::TOMBSTONE, format: FORMAT, tenant: TENANT, slot, generation, number: 0, user: NOBODY }
}

#[cfg(test)]
mod tests {
    use domain::erasure::ErasureReason;

    use super::*;

    #[test]
    fn a_tombstone_opens_in_its_own_slot_and_generation_only() {
        let key = ErasureKey::new(&SystemKeys::new(SecretKey::new([5; KEY_BYTES])));
        let tombstone = Tombstone {
            generation: 3,
            erased_at: 1,
            reason: ErasureReason::Citizen,
            last_revision: 2,
            last_sequence: 4,
            was_shared: false,
        };
        let sealed = key.seal(7, &tombstone);
        assert_eq!(key.open(7, 3, &sealed), Some(tombstone));
        assert_eq!(key.open(8, 3, &sealed), None);
        assert_eq!(key.open(7, 4, &sealed), None);
        let other = ErasureKey::new(&SystemKeys::new(SecretKey::new([6; KEY_BYTES])));
        assert_eq!(other.open(7, 3, &sealed), None);
    }
}
