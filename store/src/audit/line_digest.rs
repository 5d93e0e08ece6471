//! The running digest over the lines of a category, which needs no key.
//!
//! The digest of the first *n* lines is SHA-256(the digest of the first *n* - 1 lines ‖ line *n* without its line break),
//! and that of no lines is 32 zeros. Tree heads and stubs state it, so that the public key and the files are enough to find
//! a change of any line that a head covers.

use sha2::{Digest, Sha256};

/// A digest over all lines of a category up to one of them.
pub(super) type LineDigest = [u8; 32];

/// The digest before the first line of a category.
pub(super) const DIGEST_START: LineDigest = [0; 32];

/// Returns the digest after the next line, which is given without its line break.
pub(super) fn next_digest(before: &LineDigest, line: &[u8]) -> LineDigest {
    Sha256::new_with_prefix(before).chain_update(line).finalize().into()
}
