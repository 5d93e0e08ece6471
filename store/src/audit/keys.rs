//! The keys of the audit log, derived from the system root and apart from all keys that encrypt.

use std::path::Path;

use domain::id::UserId;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::OpenError;
use crate::{MasterKey, SystemKeys};

/// Bytes of a subject hash.
pub(super) const SUBJECT_BYTES: usize = 16;

/// The keys with which entries are chained and tree heads are signed.
#[derive(Clone)]
pub struct AuditKeys {
    subject: Zeroizing<[u8; 32]>,
    chain: Hmac<Sha256>,
    signing: SigningKey,
}

impl AuditKeys {
    /// Derives the keys. They never rotate, as their root does not.
    pub fn derive(system: &SystemKeys) -> Self {
        Self::from_keys(
            *system.derive("profile-server: audit: subject hashes"),
            &system.derive("profile-server: audit: chains"),
            &system.derive("profile-server: audit: tree heads"),
        )
    }

    /// Reads the keys from a data directory, which is neither locked nor changed.
    ///
    /// # Errors
    /// The keyring could not be read, or the master key does not open it.
    pub fn read(data_dir: &Path, master: &MasterKey) -> Result<Self, OpenError> {
        SystemKeys::read(data_dir, master).map(|system| Self::derive(&system))
    }

    /// Returns the keys with these bytes: of subject hashes, of chains, and of signatures.
    pub fn from_keys(subject: [u8; 32], chain: &[u8; 32], signing: &[u8; 32]) -> Self {
        let (subject, signing) = (Zeroizing::new(subject), SigningKey::from_bytes(signing));
        Self { subject, chain: keyed(chain), signing }
    }

    /// Returns the public key, with which anybody can check tree heads, stubs and anchors.
    pub fn public_key(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    pub(super) fn verifying_key(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// Returns the key of chains, for what checks them.
    pub(super) fn chain_key(&self) -> &Hmac<Sha256> {
        &self.chain
    }

    /// Returns the hash that stands for a user in the log.
    pub(super) fn subject_hash(&self, user: &UserId) -> SubjectHash {
        let mac = keyed(&self.subject).chain_update(user.as_str().as_bytes()).finalize().into_bytes();
        let mut hash = [0; SUBJECT_BYTES];
        hash.copy_from_slice(&mac[..SUBJECT_BYTES]);
        SubjectHash(hash)
    }
}

impl std::fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKeys(…)")
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The first 16 bytes of HMAC-SHA-256(subject key, user id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SubjectHash(pub(super) [u8; SUBJECT_BYTES]);

impl SubjectHash {
    /// Returns the hash as entries have it.
    pub(super) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Returns the bytes by which an index finds the entries of a subject.
    pub(super) fn prefix(self) -> u64 {
        u64::from_be_bytes(crate::bytes::array_at(&self.0, 0))
    }
}
