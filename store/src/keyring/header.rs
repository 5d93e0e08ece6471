//! The keyring's first pages, which hold the keys that belong to no user.
//!
//! There are two copies of one page each, so that a write of one that a power cut tears leaves the other. Of two copies
//! with a right checksum the one with the greater edition counts.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSKEYRNG"
//!      8       2  format, 2
//!     10       2  reserved, 0
//!     12       4  version of the master key
//!     16      12  nonce of the wrapped ring key
//!     28      48  ring key, wrapped by the master key
//!     76      48  user-hash key, wrapped by the ring key
//!    124      48  system root key, wrapped by the ring key
//!    172       4  number of the ring key, from 1
//!    176       8  edition, which counts up with each change of the header
//!    184       8  time since when the master key wraps, in microseconds since the Unix epoch; 0 if not known
//!    192       8  time since when the ring key wraps, likewise
//!    200    3892  unused, 0
//!   4092       4  CRC-32C of everything before
//! ```
//!
//! Format 1 has one copy, without the fields from 172 on. Its slots begin after one page.

use domain::port::clock::Entropy;
use zeroize::Zeroizing;

use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::error::OpenError;
use crate::key_manager::{KeyAge, KeyStatus};
use crate::options::{MasterKey, MasterKeyVersion};
use crate::seal::{Cipher, KEY_BYTES, Label, NOBODY, NONCE_BYTES, SecretKey, TENANT, WRAPPED_KEY_BYTES, kind};

/// Bytes of a copy of the header: a whole page, so that no torn write elsewhere can damage it.
pub(super) const COPY_BYTES: usize = 4096;
/// Copies of the header in the newest format.
pub(super) const COPIES: usize = 2;
const MAGIC: &[u8; 8] = b"PSKEYRNG";
const KEYRING_FORMAT: u16 = 2;
const FIRST_FORMAT: u16 = 1;

const FORMAT_AT: usize = 8;
const RESERVED_AT: usize = 10;
const MASTER_VERSION_AT: usize = 12;
const NONCE_AT: usize = 16;
const RING_KEY_AT: usize = NONCE_AT + NONCE_BYTES;
const USER_HASH_KEY_AT: usize = RING_KEY_AT + WRAPPED_KEY_BYTES;
const SYSTEM_ROOT_AT: usize = USER_HASH_KEY_AT + WRAPPED_KEY_BYTES;
const RING_NUMBER_AT: usize = SYSTEM_ROOT_AT + WRAPPED_KEY_BYTES;
const EDITION_AT: usize = RING_NUMBER_AT + 4;
const MASTER_SINCE_AT: usize = EDITION_AT + 8;
const RING_SINCE_AT: usize = MASTER_SINCE_AT + 8;
const CRC_AT: usize = COPY_BYTES - 4;

/// What a header says about its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeaderInfo {
    /// Counts up with each change of the header.
    pub(super) edition: u64,
    /// The version of the master key that wraps the ring key.
    pub(super) master_version: u32,
    /// Since when it does, in microseconds since the Unix epoch; 0 if not known.
    pub(super) master_since: i64,
    /// The number of the ring key, from 1.
    pub(super) ring_number: u32,
    /// Since when it wraps the users' data keys, likewise.
    pub(super) ring_since: i64,
}

impl HeaderInfo {
    /// Returns the keys in use.
    pub(super) fn key_status(self) -> KeyStatus {
        let since = |time: i64| (time > 0).then_some(time);
        KeyStatus {
            master: KeyAge { version: self.master_version, since: since(self.master_since) },
            ring: KeyAge { version: self.ring_number, since: since(self.ring_since) },
            rotation: None,
        }
    }
}

/// A copy of the header with a right checksum.
pub(super) struct HeaderCopy<'a> {
    bytes: &'a [u8],
    format: u16,
    /// Whether every copy that the format has is the same.
    pub(super) is_everywhere: bool,
}

/// The unwrapped keys of the header.
pub(super) struct KeyringHeader {
    /// Wraps the users' data keys and the two keys below.
    pub(super) ring_key: SecretKey,
    /// The key of the hash that stands for a user id.
    pub(super) user_hash_key: SecretKey,
    /// The root of the keys of records that belong to no user, such as audit and configuration.
    pub(super) system_root: SecretKey,
}

impl<'a> HeaderCopy<'a> {
    /// Returns the copy that counts in the first bytes of a keyring.
    pub(super) fn find(bytes: &'a [u8]) -> Result<Self, OpenError> {
        let pages = [bytes.get(..COPY_BYTES), bytes.get(COPY_BYTES..COPIES * COPY_BYTES)];
        let [first, second] = pages.map(|page| Self::check(page.unwrap_or_default()));
        let (first, second) = match (first, second) {
            // The second page of the first format has slots.
            (Ok(first), _) if first.format == FIRST_FORMAT => return Ok(Self { is_everywhere: true, ..first }),
            (Ok(first), Ok(second)) => (first, second),
            // A newer release has changed one of them.
            (Err(newer @ OpenError::NewerFormat { .. }), _) | (_, Err(newer @ OpenError::NewerFormat { .. })) => {
                return Err(newer);
            }
            (Ok(copy), Err(_)) => return Ok(copy),
            (Err(_), Ok(copy)) if copy.format == KEYRING_FORMAT => return Ok(copy),
            (Err(fault), _) => return Err(fault),
        };
        let is_everywhere = first.bytes == second.bytes;
        let newest = if second.edition() > first.edition() { second } else { first };
        Ok(Self { is_everywhere, ..newest })
    }

    fn check(bytes: &'a [u8]) -> Result<Self, OpenError> {
        if bytes.len() < COPY_BYTES || !bytes.starts_with(MAGIC) {
            return Err(damaged("it is not that of a keyring"));
        }
        let format = u16_at(bytes, FORMAT_AT);
        if format > KEYRING_FORMAT {
            return Err(OpenError::NewerFormat { what: "the keyring", found: format, supported: KEYRING_FORMAT });
        }
        if !crc_matches(bytes, CRC_AT) || format < FIRST_FORMAT {
            return Err(damaged("its checksum is wrong"));
        }
        let reserved = u16_at(bytes, RESERVED_AT);
        if reserved != 0 {
            let what = "a reserved field of the keyring";
            return Err(OpenError::NewerFormat { what, found: reserved, supported: 0 });
        }
        Ok(Self { bytes, format, is_everywhere: false })
    }

    /// Returns the bytes of the copy.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the header can be replaced in place, since it has two copies.
    pub(super) fn is_replaceable(&self) -> bool {
        self.format == KEYRING_FORMAT
    }

    /// Returns the offset of the first slot.
    pub(super) fn slots_at(&self) -> u64 {
        let copies = if self.format == FIRST_FORMAT { 1 } else { COPIES };
        (copies * COPY_BYTES) as u64
    }

    fn edition(&self) -> u64 {
        if self.format == FIRST_FORMAT { 0 } else { u64_at(self.bytes, EDITION_AT) }
    }

    /// Returns what the header says about its keys.
    pub(super) fn info(&self) -> HeaderInfo {
        let master_version = u32_at(self.bytes, MASTER_VERSION_AT);
        if self.format == FIRST_FORMAT {
            return HeaderInfo { edition: 0, master_version, master_since: 0, ring_number: 1, ring_since: 0 };
        }
        let time = |at| i64::from_le_bytes(array_at(self.bytes, at));
        HeaderInfo {
            edition: self.edition(),
            master_version,
            master_since: time(MASTER_SINCE_AT),
            ring_number: u32_at(self.bytes, RING_NUMBER_AT),
            ring_since: time(RING_SINCE_AT),
        }
    }

    /// Unwraps the keys.
    pub(super) fn unwrap_keys(&self, master: &MasterKey) -> Result<KeyringHeader, OpenError> {
        let info = self.info();
        let wanted = info.master_version;
        let version = master.version(wanted).ok_or_else(|| master.missing(wanted))?;
        let ring_key = master_cipher(version)
            .unwrap_key(&array_at(self.bytes, NONCE_AT), self.ring_label(&info), &array_at(self.bytes, RING_KEY_AT))
            .map_err(|_| OpenError::WrongMasterKey { version: wanted })?;
        let ring = ring_key.cipher();
        let unwrap = |kind: u8, at: usize| {
            ring.unwrap_key(&purpose_nonce(kind), label(kind), &array_at(self.bytes, at))
                .map_err(|_| damaged("a key does not unwrap"))
        };
        Ok(KeyringHeader {
            user_hash_key: unwrap(kind::USER_HASH_KEY, USER_HASH_KEY_AT)?,
            system_root: unwrap(kind::SYSTEM_ROOT, SYSTEM_ROOT_AT)?,
            ring_key,
        })
    }

    fn ring_label(&self, info: &HeaderInfo) -> Label {
        if self.format == FIRST_FORMAT { label(kind::RING_KEY) } else { ring_label(info) }
    }
}

impl KeyringHeader {
    /// Draws fresh keys.
    pub(super) fn generate(entropy: &dyn Entropy) -> Self {
        Self { ring_key: fresh_key(entropy), user_hash_key: fresh_key(entropy), system_root: fresh_key(entropy) }
    }

    /// Returns the header of a new keyring for the same users, with a fresh ring key.
    pub(super) fn with_fresh_ring_key(&self, entropy: &dyn Entropy) -> Self {
        let (user_hash_key, system_root) = (self.user_hash_key.clone(), self.system_root.clone());
        Self { ring_key: fresh_key(entropy), user_hash_key, system_root }
    }

    /// Wraps the keys under `master`, whose version `info` has. Returns one copy.
    pub(super) fn encode(&self, info: &HeaderInfo, master: &MasterKeyVersion, entropy: &dyn Entropy) -> Vec<u8> {
        debug_assert_eq!(info.master_version, master.number());
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let ring = self.ring_key.cipher();
        let ring_key = master_cipher(master).wrap(&nonce, ring_label(info), &self.ring_key);
        let mut bytes = vec![0; COPY_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &KEYRING_FORMAT.to_le_bytes());
        put(&mut bytes, MASTER_VERSION_AT, &info.master_version.to_le_bytes());
        put(&mut bytes, NONCE_AT, &nonce);
        put(&mut bytes, RING_KEY_AT, &ring_key);
        put(&mut bytes, USER_HASH_KEY_AT, &wrap(&ring, kind::USER_HASH_KEY, &self.user_hash_key));
        put(&mut bytes, SYSTEM_ROOT_AT, &wrap(&ring, kind::SYSTEM_ROOT, &self.system_root));
        put(&mut bytes, RING_NUMBER_AT, &info.ring_number.to_le_bytes());
        put(&mut bytes, EDITION_AT, &info.edition.to_le_bytes());
        put(&mut bytes, MASTER_SINCE_AT, &info.master_since.to_le_bytes());
        put(&mut bytes, RING_SINCE_AT, &info.ring_since.to_le_bytes());
        put_crc(&mut bytes, CRC_AT);
        bytes
    }
}

fn damaged(detail: &str) -> OpenError {
    OpenError::Damaged { what: "the keyring's header", detail: detail.to_owned() }
}

fn fresh_key(entropy: &dyn Entropy) -> SecretKey {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(&mut *bytes);
    SecretKey::new(*bytes)
}

fn master_cipher(master: &MasterKeyVersion) -> Cipher {
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

/// Returns the label of the wrapped ring key, which binds the version of the master key and the number of the ring key.
fn ring_label(info: &HeaderInfo) -> Label {
    let (generation, number) = (info.master_version, u64::from(info.ring_number));
    Label { format: 2, generation, number, ..label(kind::RING_KEY) }
}
