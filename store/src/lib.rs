//! The durable state of the profile server: a journal, checkpoints in sled, history, and dead letters, all encrypted.
//!
//! A record is acknowledged when the journal has synced it. A checkpoint folds the records since the last one into sled;
//! after that, their journal segments can be removed. [`open`] recovers a store after a crash.
//!
//! | Word | Meaning |
//! |---|---|
//! | record | one change of one user, as the domain appends it |
//! | frame | a record in the journal: sealed, with an unencrypted header and a checksum |
//! | group | the frames of one append: one write and one sync |
//! | segment | one file of the journal |
//! | fold | apply frames to a user's state; the domain supplies the function |
//! | side record | what is stored beside a user's state and read only when needed, such as a block of history |
//! | seal | encrypt and authenticate, under a data key of the keyring |
//! | slot | where the keyring holds one data key; its generation counts erasures |
//! | projection | what is kept of every user beside the profiles, such as the columns; a checkpoint saves it as one file |
//! | reserve | disk space and descriptors that are kept for reopening sled |
//!
//! The bodies of records are opaque here: the domain says what they hold and how they fold into a state.

mod options;
pub use options::{MasterKey, StoreOptions};
mod error;
pub use error::OpenError;
mod open;
pub use open::{Closer, ProjectionResealer, Store, open};
mod key_manager;
pub use key_manager::{KeyAge, KeyManager, KeyStatus};
pub use keyring::{KeyRotationError, RingRotation, RotationProgress};
mod dead_letters;
pub use dead_letters::DeadLetterStore;
mod quarantine;
pub use quarantine::{
    InspectedFrame, InspectedUser, ListedUser, Quarantine, QuarantineError, QuarantinePage, QuarantineReason,
    ReleasedUser, UserKey,
};
mod status;
pub use status::{StoreHealth, StoreStatus};
mod system_keys;
pub use system_keys::SystemKeys;

mod append;
mod bytes;
mod checkpoint;
mod checkpoint_trigger;
mod data_dir;
mod engine;
mod erasure;
mod first_start;
mod history_versions;
mod journal;
mod journal_log;
mod keyring;
mod load;
mod locked;
mod permissions;
mod projection;
mod registry;
mod reserve;
mod retention_clock;
mod seal;
mod sealed_file;
mod signal;
mod sled_store;
mod upkeep;
mod user_hash;
mod user_suffix;

pub mod audit;
pub mod backup;
pub mod disk;
pub mod inspect;
pub mod metric;
mod sync_shim;
pub mod table;
#[cfg(test)]
mod test_kit;
