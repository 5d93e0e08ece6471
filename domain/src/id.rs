//! Identifiers. Each is parsed once, when it enters the server, and trusted afterwards.

use std::fmt;

use uuid::{Builder, Uuid};

/// A citizen's id: `^usr_[A-Za-z0-9]{12,32}$`. Kept inline, so that copying one never allocates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId {
    bytes: [u8; Self::MAX_BYTES],
    length: u8,
}

impl UserId {
    /// Maximum number of bytes of an id.
    pub const MAX_BYTES: usize = 36;

    /// Parses an id.
    ///
    /// # Errors
    /// `text` does not match the pattern. The error names the pattern and never repeats `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let tail = text.strip_prefix("usr_").unwrap_or("");
        if !(12..=32).contains(&tail.len()) || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidId { expected: "^usr_[A-Za-z0-9]{12,32}$" });
        }
        let mut bytes = [0; Self::MAX_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, length: text.len() as u8 })
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        // `parse` accepts ASCII only.
        std::str::from_utf8(&self.bytes[..self.length as usize]).unwrap_or_default()
    }
}

// A user id in a log or an error would list people: Debug prints a placeholder, and there is no Display.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

/// The error for text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id must match `{expected}`")]
pub struct InvalidId {
    /// The pattern that the id must match.
    pub expected: &'static str,
}

/// A profile's id, `prof_` and a UUID v4: assigned when a profile is first assembled, constant within a generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProfileId([u8; 16]);

impl ProfileId {
    /// Creates an id from 16 random bytes, setting the version and variant bits of RFC 9562.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(random).into_uuid().into_bytes())
    }

    /// Returns the id's bytes, as stored.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the id from its stored bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prof_{}", Uuid::from_bytes(self.0).hyphenated())
    }
}

impl fmt::Debug for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_the_pattern_of_the_contract() {
        for good in ["usr_7Qm2Xr9TzKpA", &format!("usr_{}", "a".repeat(32))] {
            assert_eq!(UserId::parse(good).expect(good).as_str(), good);
        }
        for bad in ["", "usr_", "usr_short", "usr_7Qm2Xr9TzKp-", "USR_7Qm2Xr9TzKpA", &format!("usr_{}", "a".repeat(33))]
        {
            assert!(UserId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_profile_id_is_a_version_4_uuid() {
        assert_eq!(ProfileId::from_random([0xff; 16]).to_string(), "prof_ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
