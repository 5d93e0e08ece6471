//! The backup of the keyring: the file as it is, whose keys are wrapped by the master key, and a trailer.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSKEYBAK"
//!      8       2  format, 1
//!     10       6  reserved, 0
//!     16       8  time at which it was begun, in microseconds since the Unix epoch
//!     24       8  time until which it may be kept
//!     32       8  bytes of the keyring before the trailer
//!     40      32  HMAC-SHA-256 of the keyring and of the trailer before
//! ```

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::SystemKeys;
use crate::bytes::{array_at, put, u16_at, u64_at};

/// Bytes of the trailer.
pub(crate) const TRAILER_BYTES: usize = 72;
const MAGIC: &[u8; 8] = b"PSKEYBAK";
const FORMAT: u16 = 1;
const KEY_PURPOSE: &str = "profile-server: keyring backup";

const FORMAT_AT: usize = 8;
const RESERVED: std::ops::Range<usize> = 10..16;
const TIME_AT: usize = 16;
const KEEP_UNTIL_AT: usize = 24;
const LENGTH_AT: usize = 32;
const MAC_AT: usize = 40;

/// What the trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyringTrailer {
    /// In microseconds since the Unix epoch. Keys that were destroyed since then may be in the backup.
    pub(crate) time: i64,
    /// In microseconds since the Unix epoch.
    pub(crate) keep_until: i64,
    /// Bytes of the keyring.
    pub(crate) length: u64,
}

/// Authenticates a backup of the keyring.
pub(crate) struct KeyringMac(Hmac<Sha256>);

impl KeyringMac {
    pub(crate) fn new(keys: &SystemKeys) -> Self {
        let key = keys.derive(KEY_PURPOSE);
        Self(Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes a key of any length"))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the trailer of a keyring that was added as a whole.
    pub(crate) fn trailer(mut self, trailer: &KeyringTrailer) -> [u8; TRAILER_BYTES] {
        let mut bytes = trailer.encode();
        self.0.update(&bytes[..MAC_AT]);
        put(&mut bytes, MAC_AT, &self.0.finalize().into_bytes());
        bytes
    }

    /// Returns whether the trailer belongs to the keyring that was added.
    pub(crate) fn matches_trailer(mut self, bytes: &[u8; TRAILER_BYTES]) -> bool {
        self.0.update(&bytes[..MAC_AT]);
        self.0.verify_slice(&bytes[MAC_AT..]).is_ok()
    }
}

impl KeyringTrailer {
    fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &FORMAT.to_le_bytes());
        put(&mut bytes, TIME_AT, &self.time.to_le_bytes());
        put(&mut bytes, KEEP_UNTIL_AT, &self.keep_until.to_le_bytes());
        put(&mut bytes, LENGTH_AT, &self.length.to_le_bytes());
        bytes
    }

    /// Returns whether the end of a file looks like a trailer. A keyring itself has none.
    pub(crate) fn is_one(bytes: &[u8; TRAILER_BYTES]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads a trailer; `Err` says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Result<Self, &'static str> {
        if u16_at(bytes, FORMAT_AT) != FORMAT || bytes[RESERVED].iter().any(|byte| *byte != 0) {
            return Err("another release has written it");
        }
        Ok(Self {
            time: i64::from_le_bytes(array_at(bytes, TIME_AT)),
            keep_until: i64::from_le_bytes(array_at(bytes, KEEP_UNTIL_AT)),
            length: u64_at(bytes, LENGTH_AT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SecretKey;

    #[test]
    fn a_trailer_has_the_bytes_that_the_table_above_shows_and_covers_the_keyring() {
        let keys = SystemKeys::new(SecretKey::new([1; 32]));
        let mac = |content: &[u8]| {
            let mut mac = KeyringMac::new(&keys);
            mac.update(content);
            mac
        };
        let trailer = KeyringTrailer { time: 2, keep_until: 3, length: 4 };
        let bytes = mac(b"keys").trailer(&trailer);
        let fields = [
            &b"PSKEYBAK"[..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes[..MAC_AT], fields.concat());
        assert_eq!(KeyringTrailer::decode(&bytes), Ok(trailer));
        assert!(mac(b"keys").matches_trailer(&bytes) && !mac(b"kezs").matches_trailer(&bytes));
        let mut changed = bytes;
        changed[KEEP_UNTIL_AT] = 9;
        assert!(!mac(b"keys").matches_trailer(&changed));
    }
}
