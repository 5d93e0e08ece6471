//! Ids of snapshots.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::id::ProfileId;

const PREFIX: &str = "snap_";
const MICROS_PER_MILLI: i64 = 1_000;

/// A snapshot's id: `snap_` and a UUID v7 (RFC 9562), which begins with the time of the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId([u8; 16]);

/// The error for text that is not the id of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot's id is `snap_` and a UUID")]
pub struct InvalidSnapshotId;

impl SnapshotId {
    /// Creates the id of a snapshot that is taken at `micros` since the Unix epoch, from random bytes.
    pub fn from_random(micros: i64, random: [u8; 10]) -> Self {
        let millis = u64::try_from(micros / MICROS_PER_MILLI).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes())
    }

    /// Returns the id of the daily snapshot of a revision. It is derived from values that every viewer sees, and is the same
    /// whenever it is made.
    pub fn for_day(profile_id: ProfileId, revision: u64, generated_at: i64) -> Self {
        let hash = Sha256::new()
            .chain_update(profile_id.to_bytes())
            .chain_update(revision.to_be_bytes())
            .chain_update("daily snapshot")
            .finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        Self::from_random(generated_at, random)
    }

    /// Parses an id.
    ///
    /// # Errors
    /// The text is not `snap_` and a UUID in lower case with hyphens.
    pub fn parse(text: &str) -> Result<Self, InvalidSnapshotId> {
        let uuid = text.strip_prefix(PREFIX).and_then(|uuid| Uuid::try_parse(uuid).ok()).ok_or(InvalidSnapshotId)?;
        let id = Self(uuid.into_bytes());
        // A UUID has other spellings, and one id has one text.
        if id.to_string() == text { Ok(id) } else { Err(InvalidSnapshotId) }
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

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", Uuid::from_bytes(self.0).hyphenated())
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_that_reads_back() {
        let id = SnapshotId::from_random(1_768_900_000_123_456, [0xff; 10]);
        assert_eq!(id.to_string(), "snap_019bdaa7-f97b-7fff-bfff-ffffffffffff");
        assert_eq!(SnapshotId::parse(&id.to_string()), Ok(id));
        let upper = id.to_string().to_uppercase();
        for bad in ["", "snap_", "snap_1", "prof_019bdaa7-f97b-7fff-bfff-ffffffffffff", &upper] {
            assert_eq!(SnapshotId::parse(bad), Err(InvalidSnapshotId), "{bad}");
        }
    }

    #[test]
    fn the_id_of_a_daily_snapshot_depends_on_profile_and_revision() {
        let profile = ProfileId::from_random([7; 16]);
        let id = SnapshotId::for_day(profile, 3, 5);
        assert_eq!(SnapshotId::for_day(profile, 3, 5), id);
        assert_ne!(SnapshotId::for_day(profile, 4, 5), id);
        assert_ne!(SnapshotId::for_day(ProfileId::from_random([8; 16]), 3, 5), id);
    }
}
