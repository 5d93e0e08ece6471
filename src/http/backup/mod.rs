//! Backups of the data and of the keyring, on the admin listener.

mod data;
mod keyring;
mod state;
mod stream;
mod transfer;

pub(super) use data::{continue_one, get as data};
pub(super) use keyring::post as keyring;
pub(crate) use state::BackupState;
