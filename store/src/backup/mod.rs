//! Backups: one stream of bytes that holds a data directory as of a moment, but for its keys.
//!
//! | Word | Meaning |
//! |---|---|
//! | moment | when everything that is durable is in sled; the backup has that, and nothing later |
//! | chunk | a part of the stream, with a checksum and an authentication that also covers the chunks before |
//! | keyring backup | the keyring in a file of its own, which is kept for a shorter time than backups of the data |
//! | trailer | the end of a keyring backup: when it was made, until when it may be kept, and its authentication |
//!
//! ADR 0042 has the reasons.

mod chain;
mod chunk;
mod error;
mod files;
mod given_keyring;
mod header;
mod keyring_backup;
mod log_choice;
mod past_epoch;
mod reader;
mod restore;
mod source;
mod target;
mod user;

pub use error::{BackupError, BackupFault, FindUserError, RestoreError};
pub(crate) use files::FileToCopy;
pub use keyring_backup::{KeyringBackup, KeyringRestore, restore_keyring};
pub(crate) use past_epoch::past_position;
pub use reader::whole_chunks;
pub(crate) use restore::slot_of_value;
pub use restore::{RestoreOptions, RestoreReport, check_backup, restore};
pub use source::{Backup, BackupOptions, Backups};
pub(crate) use target::check_finished;
pub use user::{BackedUpUser, MAX_USER_BYTES, find_user};
