//! The keyring's first page: the keys that are nobody's.

use domain::port::clock::Entropy;

use crate::error::OpenError;
use crate::options::MasterKey;
use crate::seal::{Cipher, Label, NOBODY, NONCE_BYTES, SecretKey, kind};

pub(crate) const KEYRING_HEADER_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"PSKEYRNG";
const KEYRING_FORMAT: u16 = 1;

// Little-endian, at these offsets; the CRC-32C of all before it comes last.
const FORMAT_AT: usize = 8;
const MASTER_VERSION_AT: usize = 12;
const NONCE_AT: usize = 16;
const RING_KEY_AT: usize = NONCE_AT + NONCE_BYTES;
const USER_HASH_KEY_AT: usize = RING_KEY_AT + 48;
const SYSTEM_ROOT_AT: usize = USER_HASH_KEY_AT + 48;
const CRC_AT: usize = KEYRING_HEADER_BYTES - 4;

/// The unwrapped keys of the header.
pub(crate) struct KeyringHeader {
    /// Wraps the users' data keys and the two below.
    pub(crate) ring_key: SecretKey,
    /// Keys the hash that stands for a user id.
    pub(crate) user_hash_key: SecretKey,
    /// The root of the keys of records that belong to no user (audit, config).
    pub(crate) system_root: SecretKey,
}

impl KeyringHeader {
    /// Fresh keys.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let fresh = || {
            let mut bytes = zeroize::Zeroizing::new([0; 32]);
            entropy.fill(&mut *bytes);
            SecretKey::new(*bytes)
        };
        Self { ring_key: fresh(), user_hash_key: fresh(), system_root: fresh() }
    }

    pub(crate) fn encode(&self, master: &MasterKey, entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let ring = self.ring_key.cipher();
        let mut bytes = vec![0; KEYRING_HEADER_BYTES];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, MAGIC);
        put(FORMAT_AT, &KEYRING_FORMAT.to_le_bytes());
        put(MASTER_VERSION_AT, &master.version().to_le_bytes());
        put(NONCE_AT, &nonce);
        put(RING_KEY_AT, &master_cipher(master).wrap(&nonce, label(kind::RING_KEY), &self.ring_key));
        put(USER_HASH_KEY_AT, &wrap(&ring, kind::USER_HASH_KEY, &self.user_hash_key));
        put(SYSTEM_ROOT_AT, &wrap(&ring, kind::SYSTEM_ROOT, &self.system_root));
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], master: &MasterKey) -> Result<Self, OpenError> {
        let damaged = |detail: &str| OpenError::Damaged { what: "the keyring's header", detail: detail.to_owned() };
        if bytes.len() < KEYRING_HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return Err(damaged("it is not that of a keyring"));
        }
        let found = u16::from_le_bytes([bytes[FORMAT_AT], bytes[FORMAT_AT + 1]]);
        if found > KEYRING_FORMAT {
            return Err(OpenError::NewerFormat { what: "the keyring", found, supported: KEYRING_FORMAT });
        }
        if crc32c::crc32c(&bytes[..CRC_AT]).to_le_bytes() != bytes[CRC_AT..KEYRING_HEADER_BYTES] {
            return Err(damaged("its checksum is wrong"));
        }
        let nonce: [u8; NONCE_BYTES] = array_at(bytes, NONCE_AT);
        let ring_key = master_cipher(master)
            .unwrap_key(&nonce, label(kind::RING_KEY), &array_at(bytes, RING_KEY_AT))
            .map_err(|_| OpenError::WrongMasterKey {
            given: master.version(),
            wanted: u32::from_le_bytes(array_at(bytes, MASTER_VERSION_AT)),
        })?;
        let ring = ring_key.cipher();
        let unwrap = |kind: u8, at: usize| {
            ring.unwrap_key(&purpose_nonce(kind), label(kind), &array_at(bytes, at))
                .map_err(|_| damaged("a key does not unwrap"))
        };
        Ok(Self {
            user_hash_key: unwrap(kind::USER_HASH_KEY, USER_HASH_KEY_AT)?,
            system_root: unwrap(kind::SYSTEM_ROOT, SYSTEM_ROOT_AT)?,
            ring_key,
        })
    }
}

fn master_cipher(master: &MasterKey) -> Cipher {
    SecretKey::new(*master.bytes()).cipher()
}

fn wrap(ring: &Cipher, kind: u8, key: &SecretKey) -> [u8; 48] {
    ring.wrap(&purpose_nonce(kind), label(kind), key)
}

/// A ring key wraps one key of each purpose: the purpose is nonce enough. Slots use another first byte.
fn purpose_nonce(kind: u8) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[0] = kind;
    nonce
}

fn label(kind: u8) -> Label {
    Label { kind, format: 1, tenant: crate::seal::TENANT, slot: u32::MAX, generation: 0, number: 0, user: NOBODY }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
