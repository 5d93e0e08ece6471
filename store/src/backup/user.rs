//! What a backup has of one user: it is taken out of the backup, sent to the server that has lost it, and checked there.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0     128  header of the backup
//!    128       n  values of the user in the trees `users` and `records`, as in a chunk of values, by tree and key
//! ```

use std::collections::BTreeMap;
use std::io::Read;

use super::chain::{ChainMac, keyring_identity};
use super::chunk::Chunk;
use super::error::{BackupFault, FindUserError};
use super::header::{BACKUP_HEADER_BYTES, BackupHeader};
use super::reader::BackupReader;
use crate::SystemKeys;
use crate::journal::Position;
use crate::quarantine::{StoredRecords, UserKey};
use crate::sled_store::{TreeKind, TreeValue, side_key};
use crate::user_hash::UserHash;

/// Maximum number of bytes that a user of a backup takes in the form above. History is less than 50 KB for each month.
pub const MAX_USER_BYTES: usize = 32 << 20;
const USER_HASH_BYTES: usize = 16;

/// What a backup has of one user. All of it but the header is sealed.
pub struct BackedUpUser {
    header_bytes: [u8; BACKUP_HEADER_BYTES],
    header: BackupHeader,
    values: Vec<TreeValue>,
}

/// Finds a user in a backup, which is read to its end and checked as far as that is possible without keys: the server that
/// gets the user back checks the header and opens the records. `progress` gets the number of bytes that were read.
///
/// # Errors
/// The backup is not sound, does not have the user, or has more of the user than [`MAX_USER_BYTES`].
pub fn find_user(
    input: &mut dyn Read,
    user: UserKey,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUpUser, FindUserError> {
    let mut reader = BackupReader::begin(input)?;
    // A value comes once, and in no certain order.
    let (mut found, mut bytes) = (BTreeMap::new(), BACKUP_HEADER_BYTES);
    while let Some(chunk) = reader.next()? {
        if let Chunk::Values(values) = chunk {
            for value in values.into_iter().filter(|value| is_of(value, user)) {
                bytes += value.bytes();
                found.insert((value.tree, value.key), value.value);
            }
        }
        if bytes > MAX_USER_BYTES {
            return Err(FindUserError::TooMuch);
        }
        progress(reader.bytes());
    }
    if !found.keys().any(|(tree, _)| *tree == TreeKind::Users) {
        return Err(FindUserError::NotThere);
    }
    let values = found.into_iter().map(|((tree, key), value)| TreeValue { tree, key, value }).collect();
    Ok(BackedUpUser { header_bytes: *reader.header_bytes(), header: *reader.header(), values })
}

impl BackedUpUser {
    /// Returns the moment of the backup, in microseconds since the Unix epoch.
    pub fn backup_time(&self) -> i64 {
        self.header.time
    }

    /// Returns the form that is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header_bytes.to_vec();
        self.values.iter().for_each(|value| value.encode(&mut bytes));
        bytes
    }

    /// Reads what [`Self::encode`] has made.
    ///
    /// # Errors
    /// The bytes have another form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BackupFault> {
        let (header_bytes, mut rest) = bytes.split_first_chunk().ok_or(BackupFault::NoBackup)?;
        let header = BackupHeader::decode(header_bytes)?;
        let mut values = Vec::new();
        while !rest.is_empty() {
            let cut_off = || BackupFault::damaged(1, "a value of the user is not whole");
            let (value, behind) = TreeValue::decode(rest).ok_or_else(cut_off)?;
            values.push(value);
            rest = behind;
        }
        Ok(Self { header_bytes: *header_bytes, header, values })
    }

    /// Checks that the backup was made with these keys.
    pub(crate) fn authenticate(&self, keys: &SystemKeys) -> Result<(), &'static str> {
        if keyring_identity(keys) != self.header.keyring {
            return Err("the backup is of another data directory");
        }
        let mut chain = ChainMac::for_backup(keys, &self.header.id);
        BackupHeader::authenticate(&self.header_bytes, &mut chain).map_err(|_| "the header of the backup was changed")
    }

    /// Returns the epoch of the store that the backup was made of, and its moment there.
    pub(crate) fn moment(&self) -> (u64, Position) {
        (self.header.epoch, self.header.position)
    }

    /// Returns the records; `None` if a value is of another user or tree, or does not follow the one before.
    pub(crate) fn records(&self, user: &UserHash) -> Option<StoredRecords> {
        let mut found = StoredRecords::default();
        for TreeValue { tree, key, value } in &self.values {
            let number = usize::from(u16::from_be_bytes(*key.last_chunk()?));
            let values = match tree {
                TreeKind::Users if key.len() == USER_HASH_BYTES + 2 => &mut found.state,
                TreeKind::Records => {
                    let side_key = side_key(key)?;
                    if found.side_records.last().is_some_and(|(last, _)| *last > side_key) {
                        return None;
                    }
                    if found.side_records.last().is_none_or(|(last, _)| *last != side_key) {
                        found.side_records.push((side_key, Vec::new()));
                    }
                    &mut found.side_records.last_mut()?.1
                }
                _ => return None,
            };
            if !key.starts_with(&user.0) || number != values.len() {
                return None;
            }
            values.push(value.clone());
        }
        Some(found)
    }
}

fn is_of(value: &TreeValue, user: UserKey) -> bool {
    matches!(value.tree, TreeKind::Users | TreeKind::Records) && value.key.starts_with(&user.0)
}
