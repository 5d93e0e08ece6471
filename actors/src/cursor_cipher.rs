//! The seal of cursors: AES-256-GCM-SIV (RFC 8452), bound to the caller that a cursor is made for.
//!
//! A client must neither read nor choose what a cursor holds. Positions in the journal would show the length of frames,
//! hidden values included, and a client that could choose a position would learn what changed while it was hidden.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use domain::profile::push_hex;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes that the seal adds to the content.
pub(crate) const TAG_BYTES: usize = 16;

/// Seals and opens cursors.
pub(crate) struct CursorCipher(Aes256GcmSiv);

impl CursorCipher {
    /// Returns the cipher with a key.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key)))
    }

    /// Returns the sealed `content`. It can be opened only with the same nonce and scope.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_BYTES], content: &[u8], scope: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: content, aad: scope };
        let sealed = self.0.encrypt(&Nonce::from(*nonce), payload);
        sealed.expect("cursors are far below the 64 GiB that RFC 8452 allows")
    }

    /// Returns the content of `N` bytes; `None` unless it was sealed with this key, nonce and scope.
    pub(crate) fn open<const N: usize>(
        &self,
        nonce: &[u8; NONCE_BYTES],
        sealed: &[u8],
        scope: &[u8],
    ) -> Option<[u8; N]> {
        let payload = Payload { msg: sealed, aad: scope };
        self.0.decrypt(&Nonce::from(*nonce), payload).ok()?.try_into().ok()
    }
}

/// Returns bytes in lower-case hexadecimal.
pub(crate) fn to_hex(parts: &[&[u8]]) -> String {
    let mut text = String::with_capacity(2 * parts.iter().map(|part| part.len()).sum::<usize>());
    parts.iter().for_each(|part| push_hex(&mut text, part));
    text
}

/// Returns `N` bytes from lower-case hexadecimal; `None` for any other text.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_under_its_own_nonce_and_scope_only() {
        let cipher = CursorCipher::new(&[3; 32]);
        let sealed = cipher.seal(&[1; 12], b"place", b"scope");
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        assert_eq!(cipher.open(&[1; 12], &sealed, b"scope"), Some(*b"place"));
        assert_eq!(cipher.open::<5>(&[2; 12], &sealed, b"scope"), None);
        assert_eq!(cipher.open::<5>(&[1; 12], &sealed, b"other"), None);
        assert_eq!(cipher.open::<4>(&[1; 12], &sealed, b"scope"), None);
        assert_eq!(CursorCipher::new(&[4; 32]).open::<5>(&[1; 12], &sealed, b"scope"), None);
    }

    #[test]
    fn hexadecimal_is_lower_case_and_of_the_right_length() {
        assert_eq!(from_hex(&to_hex(&[&[0, 0xab], &[0xff]])), Some([0, 0xab, 0xff]));
        for bad in ["", "0", "00ab", "00abff0", "00abff00", "00ABFF", "00abfg"] {
            assert_eq!(from_hex::<3>(bad), None, "{bad}");
        }
    }
}
