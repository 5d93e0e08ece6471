//! The way out of quarantine, for operators: the users whose frames could not be folded are listed and inspected, and go on
//! with their frames after a fault was mended, or without them. Users whose loads have found damage since the start are there, too,
//! with nothing but what the store has of them.
//!
//! Nothing that is shown is a value of a user, and nobody is named: a user is known by a keyed hash.

mod inspect;
mod note;
mod restore;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::id::UserId;
use domain::port::store::{SideKey, StoreError};

pub(crate) use inspect::whole_frame;
pub use inspect::{InspectedFrame, InspectedUser, ListedUser, QuarantinePage};
pub(crate) use note::QuarantineNote;
pub use note::QuarantineReason;

use crate::checkpoint::Checkpointer;
use crate::engine::{Engine, KeyFault};
use crate::registry::DurableRegistry;
use crate::seal::kind;
use crate::user_hash::UserHash;

/// How long a change waits for a checkpoint to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stands for a user: the keyed hash of the user's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(pub [u8; 16]);

impl UserKey {
    /// Parses 32 hexadecimal digits in lower case; `None` for other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = [0; 16];
        let is_lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !is_lower || pairs.len() != key.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(pairs) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A user that is out of quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleasedUser {
    /// The user.
    pub user: UserId,
    /// The sequence that the user goes on from.
    pub sequence: u64,
    /// The frames that the user has of those that were in quarantine.
    pub folded: u64,
    /// The frames that are lost. 0 says that the user has everything that was acknowledged.
    pub lost: u64,
}

/// Why a user stays in quarantine.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// No such user is in quarantine.
    #[error("no such user is in quarantine")]
    Unknown,
    /// The user was erased, which ended the quarantine.
    #[error("the user was erased, and is in quarantine no more")]
    Erased,
    /// The fault is still there.
    #[error("the frames cannot be folded: {what}")]
    StillDamaged {
        /// What is damaged; never a user's data.
        what: String,
    },
    /// There is nothing that the user could go on from.
    #[error("no state of the user is left that can be read: restore it from a backup, or erase the user")]
    NothingLeft,
    /// The records are not the user's, do not fit together, or are newer than the quarantine.
    #[error("the records of the backup do not fit: {what}")]
    Unfit {
        /// Why they do not fit; never a user's data.
        what: String,
    },
    /// The backup is older than what was acknowledged, and its loss was not accepted.
    #[error("{lost} changes after the backup would be lost, and consent be withdrawn")]
    WouldLose {
        /// The number of these changes.
        lost: u64,
    },
    /// The store cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sealed records of one user, as a backup has them: the values of each record, in order.
#[derive(Default)]
pub(crate) struct StoredRecords {
    /// The values of the record in the tree `users`.
    pub(crate) state: Vec<Vec<u8>>,
    /// The values of each record in the tree `records`.
    pub(crate) side_records: Vec<(SideKey, Vec<Vec<u8>>)>,
}

/// The users in quarantine. All methods block, so they are called on a thread that may block.
pub struct Quarantine {
    engine: Arc<Engine>,
    checkpointer: Arc<Checkpointer>,
    registry: Arc<DurableRegistry>,
}

impl Quarantine {
    pub(crate) fn new(engine: Arc<Engine>, checkpointer: Arc<Checkpointer>, registry: Arc<DurableRegistry>) -> Self {
        Self { engine, checkpointer, registry }
    }

    /// Returns the key that stands for a user, in quarantine or not.
    pub fn key_of(&self, user: &UserId) -> UserKey {
        UserKey(self.engine.hasher.hash(user).0)
    }

    /// Returns the user behind a key, as far as a record or frame says it that opens. It is for the parts that hold the user in
    /// memory, and is not shown.
    ///
    /// # Errors
    /// No such user is in quarantine, or the store cannot be read.
    pub fn user(&self, key: UserKey) -> Result<Option<UserId>, QuarantineError> {
        let user = self.known(key)?;
        Ok(self.find_id(&user)?)
    }

    /// Folds the frames of a user over the state of the last checkpoint. If that succeeds, the user is out of quarantine, and
    /// this is durable when it returns.
    ///
    /// # Errors
    /// The user stays in quarantine, as it was.
    pub fn retry(&self, key: UserKey) -> Result<ReleasedUser, QuarantineError> {
        self.known(key)?;
        let _no_checkpoint = self.checkpointer.lock_out(PATIENCE).ok_or_else(busy)?;
        // Another call, or an erasure, may have come first.
        self.checkpointer.refold(&self.known(key)?)
    }

    /// Drops the frames of a user, who goes on with the state of the last checkpoint. Revisions and sequences go on behind those
    /// of the lost frames, and consent is withdrawn, because a lost frame may have withdrawn it. Durable when it returns.
    ///
    /// # Errors
    /// The user stays in quarantine, as it was.
    pub fn drop_frames(&self, key: UserKey) -> Result<ReleasedUser, QuarantineError> {
        self.known(key)?;
        let _no_checkpoint = self.checkpointer.lock_out(PATIENCE).ok_or_else(busy)?;
        // Another call, or an erasure, may have come first.
        self.checkpointer.drop_frames(&self.known(key)?)
    }

    fn known(&self, UserKey(key): UserKey) -> Result<UserHash, QuarantineError> {
        let user = UserHash(key);
        // An erasure ends the quarantine, though the frames may still be there.
        let is_ending = self.engine.index.get(&user).is_some_and(|newest| newest.is_erasure);
        let is_there = self.engine.sled.is_quarantined(&user) || self.engine.unreadable.get(&user).is_some();
        match is_there && !is_ending {
            true => Ok(user),
            false if is_ending || self.is_erased(&user) => Err(QuarantineError::Erased),
            false => Err(QuarantineError::Unknown),
        }
    }

    /// Returns whether what is stored of a user who is not in quarantine is that of an erased one.
    fn is_erased(&self, user: &UserHash) -> bool {
        let Ok(Some(record)) = self.engine.sled.user(user) else { return false };
        let key = || self.engine.user_key(record.slot, record.generation);
        let has_begun_anew = self.engine.index.get(user).is_some();
        !has_begun_anew && (record.kind == kind::TOMBSTONE || matches!(key(), Err(KeyFault::Erased)))
    }
}

fn busy() -> QuarantineError {
    let source = "a checkpoint did not end in time".into();
    StoreError::Unavailable { doing: "waiting for a checkpoint", source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_text_and_other_text_is_none() {
        let key = UserKey([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        let text = key.to_string();
        assert_eq!((text.as_str(), UserKey::parse(&text)), ("000102030405060708090a0b0c0d0eff", Some(key)));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("+{}", &text[1..]), &format!("{text}00")] {
            assert_eq!(UserKey::parse(other), None, "{other}");
        }
    }
}
