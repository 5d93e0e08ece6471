//! The content codings of a view. The first reader who asks for one makes it, on its own thread; later ones share it.

use std::sync::OnceLock;

use bytes::Bytes;

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ContentCoding {
    /// Zstandard (RFC 8878).
    Zstd = 1,
    /// Brotli (RFC 7932).
    Brotli = 2,
    /// gzip (RFC 1952).
    Gzip = 3,
}

impl ContentCoding {
    /// All codings, the preferred one first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Returns the name in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The document of one view in content codings.
#[derive(Debug, Default)]
pub struct EncodedForms([OnceLock<Bytes>; ContentCoding::ALL.len()]);

impl EncodedForms {
    /// Returns the document in a coding. `encode` is called if nobody has asked for it before; who asks meanwhile waits.
    pub fn get(&self, coding: ContentCoding, encode: impl FnOnce() -> Bytes) -> Bytes {
        self.0[coding as usize - 1].get_or_init(encode).clone()
    }
}
