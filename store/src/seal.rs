//! Sealing: AES-256-GCM-SIV (RFC 8452) under a data key, bound to a label that says what the record is and where it
//! belongs.

use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce, Tag};
use zeroize::{Zeroize, Zeroizing};

use crate::bytes::{array_at, put};
use crate::user_hash::UserHash;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of the tag that a seal appends.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a key that another key wraps: the encrypted key and the tag.
pub(crate) const WRAPPED_KEY_BYTES: usize = KEY_BYTES + TAG_BYTES;
/// The user hash in labels of records that belong to no user.
pub(crate) const NOBODY: UserHash = UserHash([0; 16]);
/// The only tenant so far.
pub(crate) const TENANT: u32 = 0;
const LABEL_BYTES: usize = 38;

/// The kinds of sealed records. The journal's `RecordKind`s share the numbers and count up from 1. Never reuse a number.
pub(crate) mod kind {
    use domain::port::store::SideKind;

    /// The greatest number of a frame's kind.
    pub(crate) const LAST_OF_FRAMES: u8 = 0x7f;
    pub(crate) const RING_KEY: u8 = 0xf0;
    pub(crate) const SYSTEM_ROOT: u8 = 0xf1;
    pub(crate) const USER_HASH_KEY: u8 = 0xf2;
    pub(crate) const DATA_KEY: u8 = 0xf3;
    pub(crate) const USER: u8 = 0x80;
    pub(crate) const DEAD_LETTER: u8 = 0x82;
    pub(crate) const REGISTRY: u8 = 0x83;
    pub(crate) const TABLE: u8 = 0x84;
    pub(crate) const PROJECTION: u8 = 0x85;
    pub(crate) const TOMBSTONE: u8 = 0x86;
    const SIDE_RECORDS: u8 = 0xa0;

    /// Returns the kind of the seal of side records of a kind, from 0xa1 to 0xdf.
    pub(crate) const fn side_record(kind: SideKind) -> u8 {
        SIDE_RECORDS + kind.number()
    }
}

/// What a seal authenticates in addition to the body, so that a record that was moved or renamed does not open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) kind: u8,
    pub(crate) format: u8,
    pub(crate) tenant: u32,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// The sequence, the number of the side record or the time, by kind.
    pub(crate) number: u64,
    /// The user it belongs to, or [`NOBODY`].
    pub(crate) user: UserHash,
}

impl Label {
    /// Returns the associated data of the seal.
    fn to_bytes(self) -> [u8; LABEL_BYTES] {
        let mut bytes = [0; LABEL_BYTES];
        put(&mut bytes, 0, &[self.kind, self.format]);
        put(&mut bytes, 2, &self.tenant.to_le_bytes());
        put(&mut bytes, 6, &self.slot.to_le_bytes());
        put(&mut bytes, 10, &self.generation.to_le_bytes());
        put(&mut bytes, 14, &self.number.to_le_bytes());
        put(&mut bytes, 22, &self.user.0);
        bytes
    }
}

/// The bytes were not sealed under this key and label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealable;

/// A key, wiped when dropped.
#[derive(Clone)]
pub(crate) struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    pub(crate) fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) fn cipher(&self) -> Cipher {
        Cipher(Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*self.0)))
    }
}

/// A key with its key schedule, ready to seal and open.
pub(crate) struct Cipher(Aes256GcmSiv);

impl Cipher {
    /// Seals `buffer[from..]` in place and appends the tag.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_BYTES], label: Label, buffer: &mut Vec<u8>, from: usize) {
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::from(*nonce), &label.to_bytes(), (&mut buffer[from..]).into())
            .expect("bodies are far below the 64 GiB that RFC 8452 allows");
        buffer.extend_from_slice(&tag);
    }

    /// Opens what [`Self::seal`] made.
    pub(crate) fn open(&self, nonce: &[u8; NONCE_BYTES], label: Label, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (body, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(Unsealable)?;
        let mut body = body.to_vec();
        let opened = self.0.decrypt_inout_detached(
            &Nonce::from(*nonce),
            &label.to_bytes(),
            body.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        if opened.is_err() {
            body.zeroize();
            return Err(Unsealable);
        }
        Ok(body)
    }

    /// Wraps a key: encrypts it and appends the tag.
    pub(crate) fn wrap(&self, nonce: &[u8; NONCE_BYTES], label: Label, key: &SecretKey) -> [u8; WRAPPED_KEY_BYTES] {
        let mut wrapped = [0; WRAPPED_KEY_BYTES];
        put(&mut wrapped, 0, key.bytes());
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::from(*nonce), &label.to_bytes(), (&mut wrapped[..KEY_BYTES]).into())
            .expect("a key is far below the 64 GiB that RFC 8452 allows");
        put(&mut wrapped, KEY_BYTES, &tag);
        wrapped
    }

    /// Unwraps what [`Self::wrap`] made.
    pub(crate) fn unwrap_key(
        &self,
        nonce: &[u8; NONCE_BYTES],
        label: Label,
        wrapped: &[u8; WRAPPED_KEY_BYTES],
    ) -> Result<SecretKey, Unsealable> {
        let mut key = Zeroizing::new(array_at(wrapped, 0));
        let tag = Tag::from(array_at::<TAG_BYTES>(wrapped, KEY_BYTES));
        self.0
            .decrypt_inout_detached(&Nonce::from(*nonce), &label.to_bytes(), key.as_mut_slice().into(), &tag)
            .map_err(|_| Unsealable)?;
        Ok(SecretKey(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label = Label { kind: 1, format: 1, tenant: 0, slot: 7, generation: 1, number: 42, user: NOBODY };

    #[test]
    fn a_seal_opens_under_its_own_key_and_label_only() {
        let cipher = SecretKey::new([3; 32]).cipher();
        let mut sealed = b"head".to_vec();
        sealed.extend_from_slice(b"body");
        cipher.seal(&[9; NONCE_BYTES], LABEL, &mut sealed, 4);
        assert_eq!(&sealed[..4], b"head");
        assert_eq!(cipher.open(&[9; NONCE_BYTES], LABEL, &sealed[4..]).as_deref(), Ok(&b"body"[..]));

        let others = [
            Label { kind: 2, ..LABEL },
            Label { format: 2, ..LABEL },
            Label { tenant: 1, ..LABEL },
            Label { slot: 8, ..LABEL },
            Label { generation: 2, ..LABEL },
            Label { number: 43, ..LABEL },
            Label { user: UserHash([1; 16]), ..LABEL },
        ];
        for other in others {
            assert_eq!(cipher.open(&[9; NONCE_BYTES], other, &sealed[4..]), Err(Unsealable), "{other:?}");
        }
        assert_eq!(cipher.open(&[8; NONCE_BYTES], LABEL, &sealed[4..]), Err(Unsealable));
        assert_eq!(SecretKey::new([4; 32]).cipher().open(&[9; NONCE_BYTES], LABEL, &sealed[4..]), Err(Unsealable));
        assert_eq!(cipher.open(&[9; NONCE_BYTES], LABEL, &sealed[5..]), Err(Unsealable));
        assert_eq!(cipher.open(&[9; NONCE_BYTES], LABEL, b"short"), Err(Unsealable));
    }

    #[test]
    fn a_wrapped_key_unwraps() {
        let cipher = SecretKey::new([3; 32]).cipher();
        let wrapped = cipher.wrap(&[0; NONCE_BYTES], LABEL, &SecretKey::new([5; 32]));
        let key = cipher.unwrap_key(&[0; NONCE_BYTES], LABEL, &wrapped).map(|key| *key.bytes());
        assert_eq!(key, Ok([5; 32]));
        assert!(cipher.unwrap_key(&[1; NONCE_BYTES], LABEL, &wrapped).is_err());
    }
}
