//! The keyring's first page, which holds the keys that belong to no user.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSKEYRNG"
//!      8       2  format, 1
//!     10       2  reserved, 0
//!     12       4  version of the master key
//!     16      12  nonce of the wrapped ring key
//!     28      48  ring key, wrapped by the master key
//!     76      48  user-hash key, wrapped by the ring key
//!    124      48  system root key, wrapped by the ring key
//!    172    3920  unused, 0
//!   4092       4  CRC-32C of everything before
//! ```

use domain::port::clock::Entropy;
use zeroize::Zeroizing;

use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at};
use crate::error::OpenError;
use crate::options::MasterKey;
use crate::seal::{Cipher, KEY_BYTES, Label, NOBODY, NONCE_BYTES, SecretKey, TENANT, WRAPPED_KEY_BYTES, kind};

/// Bytes before the first slot: a whole page, so that no torn write of a slot can damage the header.
pub(crate) const KEYRING_HEADER_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"PSKEYRNG";
const KEYRING_FORMAT: u16 = 1;

const FORMAT_AT: usize = 8;
const RESERVED_AT: usize = 10;
const MASTER_VERSION_AT: usize = 12;
const NONCE_AT: usize = 16;
const RING_KEY_AT: usize = NONCE_AT + NONCE_BYTES;
const USER_HASH_KEY_AT: usize = RING_KEY_AT + WRAPPED_KEY_BYTES;
const SYSTEM_ROOT_AT: usize = USER_HASH_KEY_AT + WRAPPED_KEY_BYTES;
const CRC_AT: usize = KEYRING_HEADER_BYTES - 4;

/// The unwrapped keys of the header.
pub(crate) struct KeyringHeader {
    /// Wraps the users' data keys and the two keys below.
    pub(crate) ring_key: SecretKey,
    /// The key of the hash that stands for a user id.
    pub(crate) user_hash_key: SecretKey,
    /// The root of the keys of records that belong to no user, such as audit and configuration.
    pub(crate) system_root: SecretKey,
}

impl KeyringHeader {
    /// Draws fresh keys.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let fresh = || {
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            entropy.fill(&mut *bytes);
            SecretKey::new(*bytes)
        };
        Self { ring_key: fresh(), user_hash_key: fresh(), system_root: fresh() }
    }

    /// Wraps the keys under `master`.
    pub(crate) fn encode(&self, master: &MasterKey, entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let ring = self.ring_key.cipher();
        let ring_key = master_cipher(master).wrap(&nonce, label(kind::RING_KEY), &self.ring_key);
        let mut bytes = vec![0; KEYRING_HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &KEYRING_FORMAT.to_le_bytes());
        put(&mut bytes, MASTER_VERSION_AT, &master.version().to_le_bytes());
        put(&mut bytes, NONCE_AT, &nonce);
        put(&mut bytes, RING_KEY_AT, &ring_key);
        put(&mut bytes, USER_HASH_KEY_AT, &wrap(&ring, kind::USER_HASH_KEY, &self.user_hash_key));
        put(&mut bytes, SYSTEM_ROOT_AT, &wrap(&ring, kind::SYSTEM_ROOT, &self.system_root));
        put_crc(&mut bytes, CRC_AT);
        bytes
    }

    /// Checks and unwraps what [`Self::encode`] made.
    pub(crate) fn decode(bytes: &[u8], master: &MasterKey) -> Result<Self, OpenError> {
        let damaged = |detail: &str| OpenError::Damaged { what: "the keyring's header", detail: detail.to_owned() };
        if bytes.len() < KEYRING_HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return Err(damaged("it is not that of a keyring"));
        }
        let found = u16_at(bytes, FORMAT_AT);
        if found > KEYRING_FORMAT {
            return Err(OpenError::NewerFormat { what: "the keyring", found, supported: KEYRING_FORMAT });
        }
        if !crc_matches(bytes, CRC_AT) {
            return Err(damaged("its checksum is wrong"));
        }
        let reserved = u16_at(bytes, RESERVED_AT);
        if reserved != 0 {
            let what = "a reserved field of the keyring";
            return Err(OpenError::NewerFormat { what, found: reserved, supported: 0 });
        }
        let ring_key = master_cipher(master)
            .unwrap_key(&array_at(bytes, NONCE_AT), label(kind::RING_KEY), &array_at(bytes, RING_KEY_AT))
            .map_err(|_| OpenError::WrongMasterKey {
                given: master.version(),
                wanted: u32_at(bytes, MASTER_VERSION_AT),
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

fn wrap(ring: &Cipher, kind: u8, key: &SecretKey) -> [u8; WRAPPED_KEY_BYTES] {
    ring.wrap(&purpose_nonce(kind), label(kind), key)
}

/// Returns the nonce of a key of the header. A ring key wraps one key of each kind, so the kind makes the nonce unique;
/// the nonces of slots start with another byte.
fn purpose_nonce(kind: u8) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[0] = kind;
    nonce
}

fn label(kind: u8) -> Label {
    Label { kind, format: 1, tenant: TENANT, slot: u32::MAX, generation: 0, number: 0, user: NOBODY }
}
