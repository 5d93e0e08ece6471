//! A value of a tree as backups have it.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  tree: a `TreeKind`
//!      1       2  bytes of the key, k
//!      3       4  bytes of the value, v
//!      7       k  key
//!  7 + k       v  value
//! ```

use crate::bytes::{u16_at, u32_at};

/// Bytes before the key.
const ENTRY_HEADER_BYTES: usize = 7;

/// A tree that snapshots have, in the order in which they are read. The numbers are stored in backups: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TreeKind {
    Users = 1,
    Records = 2,
    Letters = 3,
    DailyKeys = 4,
    Quarantine = 5,
}

impl TreeKind {
    pub(crate) const ALL: [Self; 5] = [Self::Users, Self::Records, Self::Letters, Self::DailyKeys, Self::Quarantine];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Returns the tree that is read after this one.
    pub(super) fn next(self) -> Option<Self> {
        Self::from_number(self as u8 + 1)
    }
}

/// A value of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeValue {
    pub(crate) tree: TreeKind,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl TreeValue {
    /// Returns the number of bytes that the value counts for.
    pub(crate) fn bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + self.key.len() + self.value.len()
    }

    /// Appends the stored form.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode(out, self.tree, &self.key, &self.value);
    }

    /// Reads the value at the start of `bytes`, and returns it with the rest; `None` if there is no whole one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_at_checked(ENTRY_HEADER_BYTES)?;
        let tree = TreeKind::from_number(header[0])?;
        let (key, rest) = rest.split_at_checked(usize::from(u16_at(header, 1)))?;
        let (value, rest) = rest.split_at_checked(u32_at(header, 3) as usize)?;
        Some((Self { tree, key: key.to_vec(), value: value.to_vec() }, rest))
    }
}

/// Appends the stored form of a value.
pub(super) fn encode(out: &mut Vec<u8>, tree: TreeKind, key: &[u8], value: &[u8]) {
    out.push(tree as u8);
    out.extend_from_slice(&(key.len() as u16).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_bytes_that_the_table_above_shows() {
        let value = TreeValue { tree: TreeKind::Letters, key: vec![7, 8], value: vec![9; 3] };
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(bytes, [3, 2, 0, 3, 0, 0, 0, 7, 8, 9, 9, 9]);
        bytes.push(1);
        assert_eq!(TreeValue::decode(&bytes), Some((value, &[1][..])));
        assert_eq!(TreeValue::decode(&bytes[..11]), None);
        bytes[0] = 6;
        assert_eq!(TreeValue::decode(&bytes), None);
    }
}
