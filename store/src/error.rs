//! Why a store does not open. Each message is one line and names the remedy.

use std::io;
use std::path::PathBuf;

use domain::port::store::StoreError;

use crate::disk::is_exhausted;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has locked the data directory.
    #[error("the data directory `{}` is in use by another process: stop it, or choose another with `--data-dir`", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// An operation of the file system failed.
    #[error("could not {doing} `{}` ({source}): check that the path exists, is writable and has disk space", path.display())]
    Disk {
        /// What was being done: an imperative.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The keyring was wrapped with another key of the same version.
    #[error(
        "version {version} of the master key does not open the keyring: set `PROFILE_SERVER_MASTER_KEY`, or what `keys.provider` names, to the key that this data directory was made with"
    )]
    WrongMasterKey {
        /// The version that the keyring names.
        version: u32,
    },
    /// The version of the master key that wraps the keyring was not given.
    #[error(
        "the keyring is wrapped with version {wanted} of the master key, and only version {given} is given: add `{wanted}:KEY` to `PROFILE_SERVER_MASTER_KEY`, or to what `keys.provider` names"
    )]
    MasterKeyMissing {
        /// The version that the keyring names.
        wanted: u32,
        /// The versions that were given.
        given: String,
    },
    /// The anchor file knows entries of the audit log that the log does not have.
    #[error(
        "the audit log is older than its anchor: it has {found} entries of the category {category}, and `{}` counts {counted} at {time}: after a restore, restore again with the newest log (`restore --audit`), or move the anchor file away and keep it; otherwise entries were cut off",
        path.display()
    )]
    AuditLogOlderThanAnchor {
        /// Where the anchor file is.
        path: PathBuf,
        /// The category of which entries are missing.
        category: &'static str,
        /// The number of its entries in the log.
        found: u64,
        /// The number of its entries that the last anchor counts.
        counted: u64,
        /// When the last anchor was signed, RFC 3339.
        time: String,
    },
    /// There is data, but no keyring to decrypt it with.
    #[error("the keyring `{}` is missing but there is data that needs it: restore it from the keyring backup", path.display())]
    KeyringMissing {
        /// Where the keyring should be.
        path: PathBuf,
    },
    /// A part of the data is missing, and another part that belongs to it is there.
    #[error(
        "`{}` is missing but there is data that belongs to it, and nothing was changed: mount it where it was, or restore the whole data directory from one backup",
        path.display()
    )]
    PartMissing {
        /// The missing file or directory.
        path: PathBuf,
    },
    /// A restore of the data directory was interrupted.
    #[error("the restore of this data directory was not finished (`{}`): run `profile-server restore` again", path.display())]
    RestoreUnfinished {
        /// The file that shows it.
        path: PathBuf,
    },
    /// Written by a newer release.
    #[error("{what} has format {found}, this release reads up to {supported}: start the newer release that wrote it")]
    NewerFormat {
        /// The file or record.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The newest format that this release reads.
        supported: u16,
    },
    /// Written by an older release. Formats are not converted.
    #[error(
        "{what} has format {found}, and this release reads only format {supported}; nothing was changed: use the release that wrote it, or start with an empty data directory"
    )]
    OlderFormat {
        /// The file or record.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The format that this release reads.
        supported: u16,
    },
    /// Stored data is not what was written. Nothing was changed.
    #[error("{what} is damaged ({detail}), and nothing was repaired: check the disk, then restore from a backup")]
    Damaged {
        /// The part of the store.
        what: &'static str,
        /// Where the damage is, and what it is.
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
    /// An erasure that a crash has interrupted could not be finished.
    #[error("an erasure could not be finished ({0}): check the disk and the keyring, then start again")]
    Erasure(#[source] StoreError),
    /// The linked program lacks the replacement of `sync_file_range`, so that sled's data would not survive a power cut.
    #[error("sled's sync was not replaced in this build: rebuild with `store` linked statically")]
    SyncNotReplaced,
}

impl OpenError {
    /// Returns the error for a format other than the supported one.
    pub(crate) fn other_format(what: &'static str, found: u16, supported: u16) -> Self {
        if found > supported {
            Self::NewerFormat { what, found, supported }
        } else {
            Self::OlderFormat { what, found, supported }
        }
    }

    /// Returns whether the cause is a lack of disk space or descriptors.
    pub(crate) fn is_exhausted(&self) -> bool {
        match self {
            Self::Disk { source, .. } | Self::Sled { source: sled::Error::Io(source), .. } => is_exhausted(source),
            _ => false,
        }
    }
}
