//! Side records: what is stored beside a user's state and read only when it is needed, such as history.
//!
//! The key of a value, big-endian, so that the records of a user are adjacent, by kind and number:
//!
//! ```text
//! offset  length  field
//!      0      16  user hash
//!     16       1  kind: a `SideKind`
//!     17       8  number
//!     25       2  number of the value within the record
//! ```

use domain::port::store::{SideKey, SideKind, StoreError};

use super::record::SealedRecord;
use super::tree::ReadableTree;
use super::{SledStore, chunk_key, read, unavailable};
use crate::user_hash::UserHash;

const PREFIX_BYTES: usize = 25;
const NUMBER_AT: usize = 17;

impl SledStore {
    /// Returns the key of a user's side record of a kind with the greatest number.
    pub(crate) fn newest_side_record(&self, user: &UserHash, kind: SideKind) -> Result<Option<SideKey>, StoreError> {
        let last = chunk_key(&prefix(user, SideKey { kind, number: u64::MAX }), u16::MAX);
        let newest = self.with(|trees| {
            trees.records.range(kind_prefix(user, kind).as_slice()..=last.as_slice()).keys().next_back().transpose()
        });
        Ok(newest.map_err(unavailable)?.and_then(|key| side_key(&key)))
    }

    /// Returns the keys of a user's side records of a kind, ascending.
    pub(crate) fn side_records(&self, user: &UserHash, kind: SideKind) -> Result<Vec<SideKey>, StoreError> {
        let last = chunk_key(&prefix(user, SideKey { kind, number: u64::MAX }), u16::MAX);
        let collect = |tree: &ReadableTree| {
            let mut found = Vec::new();
            for key in tree.range(kind_prefix(user, kind).as_slice()..=last.as_slice()).keys() {
                let key = key?;
                // The first value stands for the record.
                if key.ends_with(&[0, 0]) {
                    found.extend(side_key(&key));
                }
            }
            Ok(found)
        };
        self.with(|trees| collect(&trees.records)).map_err(unavailable)
    }

    /// Returns the keys of all side records of a user, of every kind.
    pub(crate) fn all_side_records(&self, user: &UserHash) -> Result<Vec<SideKey>, StoreError> {
        let collect = |tree: &ReadableTree| {
            let mut found = Vec::new();
            for key in tree.scan_prefix(user.0).keys() {
                let key = key?;
                // The first value stands for the record.
                if key.ends_with(&[0, 0]) {
                    found.extend(side_key(&key));
                }
            }
            Ok(found)
        };
        self.with(|trees| collect(&trees.records)).map_err(unavailable)
    }

    /// Returns a side record, sealed.
    pub(crate) fn side_record(&self, user: &UserHash, key: SideKey) -> Result<Option<SealedRecord>, StoreError> {
        let found = self.with(|trees| Ok(read(&trees.records, &prefix(user, key), *user))).map_err(unavailable)??;
        match found {
            // The number is part of the seal.
            Some(record) if record.number != key.number => {
                Err(StoreError::Damaged { what: format!("the number of a record of slot {}", record.slot) })
            }
            found => Ok(found),
        }
    }
}

/// Returns the start of the keys of a record's values.
pub(super) fn prefix(user: &UserHash, key: SideKey) -> Vec<u8> {
    [&kind_prefix(user, key.kind)[..], &key.number.to_be_bytes()].concat()
}

fn kind_prefix(user: &UserHash, kind: SideKind) -> Vec<u8> {
    [&user.0[..], &[kind.number()]].concat()
}

/// Returns the name of the record that a value belongs to; `None` if its key has another form.
pub(crate) fn side_key(key: &[u8]) -> Option<SideKey> {
    let key: &[u8; PREFIX_BYTES + 2] = key.try_into().ok()?;
    let kind = SideKind::from_number(key[NUMBER_AT - 1])?;
    let number = key[NUMBER_AT..].first_chunk().map(|number| u64::from_be_bytes(*number))?;
    Some(SideKey { kind, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_bytes_that_the_table_above_shows() {
        let key = SideKey { kind: SideKind::HISTORY, number: 0x0102_0304_0506_0708 };
        let bytes = chunk_key(&prefix(&UserHash([9; 16]), key), 0x0a0b);
        assert_eq!(bytes, [&[9; 16][..], &[1], &[1, 2, 3, 4, 5, 6, 7, 8], &[10, 11]].concat());
        assert_eq!(side_key(&bytes), Some(key));
        for bad in [&bytes[..26], &[&bytes[..], &[0]].concat()[..], &[&bytes[..16], &[0], &bytes[17..]].concat()[..]] {
            assert_eq!(side_key(bad), None);
        }
    }
}
