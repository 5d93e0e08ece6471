//! The changes in a record of the registry's file, before encryption.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  1 for an entry that is stored, 2 for a key that is removed
//!      1       1  kind: a `RegistryKind`
//!      2       4  tenant, 0
//!      6       2  bytes of the key, k
//!      8       4  bytes of the value, v; 0 if the key is removed
//!     12       8  expiry in microseconds since the Unix epoch, i64::MAX for none
//!     20       k  key
//! 20 + k       v  value
//! ```

use std::sync::Arc;

use domain::port::registry::{MAX_REGISTRY_KEY_BYTES, MAX_REGISTRY_VALUE_BYTES, RegistryEntry, RegistryKind};

use crate::bytes::{array_at, u16_at, u32_at};
use crate::seal::TENANT;

const HEADER_BYTES: usize = 20;
const STORED: u8 = 1;
const REMOVED: u8 = 2;
const NEVER: i64 = i64::MAX;

/// Maximum number of bytes of a change.
pub(super) const MAX_CHANGE_BYTES: usize = HEADER_BYTES + MAX_REGISTRY_KEY_BYTES + MAX_REGISTRY_VALUE_BYTES;

/// The name of an entry.
pub(super) type EntryKey = (RegistryKind, Vec<u8>);

/// An entry that is stored, or a key that is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: EntryKey,
    /// `None` if the key is removed.
    pub(super) entry: Option<Arc<RegistryEntry>>,
}

impl Change {
    /// Appends the stored form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, key) = &self.key;
        let entry = self.entry.as_deref();
        let value = entry.map_or(&[][..], |entry| &entry.value);
        let expires_at = entry.and_then(|entry| entry.expires_at).unwrap_or(NEVER);
        out.extend_from_slice(&[if entry.is_some() { STORED } else { REMOVED }, kind.number()]);
        out.extend_from_slice(&TENANT.to_le_bytes());
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(&expires_at.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }

    /// Reads all changes of a record. `Err` says what is wrong with it.
    pub(super) fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, &'static str> {
        let mut changes = Vec::new();
        while !bytes.is_empty() {
            let (change, rest) = Self::decode(bytes)?;
            changes.push(change);
            bytes = rest;
        }
        Ok(changes)
    }

    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or("a change is too short")?;
        if header[1] == 0 || u32_at(header, 2) != TENANT {
            return Err("a change has an unknown kind or tenant");
        }
        let (key, rest) = rest.split_at_checked(usize::from(u16_at(header, 6))).ok_or("a key is too short")?;
        let (value, rest) = rest.split_at_checked(u32_at(header, 8) as usize).ok_or("a value is too short")?;
        let expires_at = Some(i64::from_le_bytes(array_at(header, 12))).filter(|end| *end != NEVER);
        let entry = match header[0] {
            STORED => Some(Arc::new(RegistryEntry { value: value.to_vec(), expires_at })),
            REMOVED if value.is_empty() && expires_at.is_none() => None,
            _ => return Err("a change is neither a stored entry nor a removed key"),
        };
        Ok((Self { key: (RegistryKind::new(header[1]), key.to_vec()), entry }, rest))
    }
}
