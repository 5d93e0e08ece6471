//! Why a store does not open. Every message is one line and names the remedy.

use std::io;
use std::path::PathBuf;

use crate::disk::is_exhausted;

/// A store that does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data directory `{}` is in use by another process: stop it, or choose another with `--data-dir`", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("could not {doing} `{}` ({source}): check that the path exists, is writable and has room", path.display())]
    Disk {
        /// What was being done: an imperative.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The keyring was not made with this master key.
    #[error(
        "the master key (version {given}) does not open the keyring, which was wrapped with version {wanted}: set `PROFILE_SERVER_MASTER_KEY` to the key that this data directory was made with"
    )]
    WrongMasterKey {
        /// The version that was given.
        given: u32,
        /// The version that the keyring names.
        wanted: u32,
    },
    /// There is data, but no keyring to read it with.
    #[error("the keyring `{}` is missing but there is data that needs it: restore it from the keyring backup", path.display())]
    KeyringMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Some of the data is there, and some that belongs to it is not.
    #[error(
        "`{}` is missing but there is data that belongs to it, and nothing was changed: mount it where it was, or restore the whole data directory from one backup",
        path.display()
    )]
    PartMissing {
        /// What should be there.
        path: PathBuf,
    },
    /// Written by a newer release.
    #[error("{what} has format {found}, this release reads up to {supported}: start the newer release that wrote it")]
    NewerFormat {
        /// Which file.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The newest that is understood.
        supported: u16,
    },
    /// Written by an older program. Formats are not converted.
    #[error(
        "{what} has format {found}, and this server reads format {supported} alone; nothing was changed: keep the program that wrote it for it, or start with an empty data directory"
    )]
    OlderFormat {
        /// Which file.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The one that is understood.
        supported: u16,
    },
    /// What is stored is not what was written, and nothing was changed.
    #[error("{what} is damaged ({detail}), and nothing was repaired: check the disk, then restore from a backup")]
    Damaged {
        /// Which part of the store.
        what: &'static str,
        /// Where, and what is wrong with it.
        detail: String,
    },
    /// sled failed.
    #[error("sled could not {doing} in the data directory ({source}): check the disk, then restore from a backup")]
    Sled {
        /// What was being done: an imperative.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: sled::Error,
    },
    /// The linked program lacks the replacement of `sync_file_range`, so sled's data would not survive a power cut.
    #[error("sled's sync was not replaced in this build: rebuild with `store` linked statically")]
    SyncNotReplaced,
}

impl OpenError {
    /// Another format than the one that is understood.
    pub(crate) fn other_format(what: &'static str, found: u16, supported: u16) -> Self {
        if found > supported {
            Self::NewerFormat { what, found, supported }
        } else {
            Self::OlderFormat { what, found, supported }
        }
    }

    /// Whether room or descriptors have run out.
    pub(crate) fn is_exhausted(&self) -> bool {
        match self {
            Self::Disk { source, .. } | Self::Sled { source: sled::Error::Io(source), .. } => is_exhausted(source),
            _ => false,
        }
    }
}
