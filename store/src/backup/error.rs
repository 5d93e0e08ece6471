//! Why a backup is not made, or not restored. Each message is one line and names the remedy.

use std::io;
use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::error::OpenError;
use crate::inspect::StoreFault;
use crate::sled_store::SnapshotFault;

/// Why a backup could not be made, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One backup runs at a time.
    #[error("another backup is running: wait for its end")]
    Busy,
    /// The moment of the backup was not reached, or the trees could not be read on.
    #[error("the backup ended early: {0}")]
    Ended(String),
    /// A file of the data directory could not be read.
    #[error("could not read `{name}` for the backup ({source}): check the disk")]
    File {
        /// The file's name in the data directory.
        name: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl From<SnapshotFault> for BackupError {
    fn from(fault: SnapshotFault) -> Self {
        match fault {
            SnapshotFault::Busy => Self::Busy,
            fault => Self::Ended(fault.to_string()),
        }
    }
}

impl From<CheckpointError> for BackupError {
    fn from(error: CheckpointError) -> Self {
        Self::Ended(format!("its checkpoint failed: {error}"))
    }
}

/// What is wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// It does not begin as a backup does.
    #[error("it is not a backup of a profile server: check the file")]
    NoBackup,
    /// Written by another release.
    #[error("{what} has format {found}, and this release reads format {supported}: use the release that wrote it")]
    Format {
        /// The part of the backup.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The format that this release reads.
        supported: u16,
    },
    /// It ends before its end.
    #[error("the backup is cut off in chunk {chunk}: use another copy of it")]
    CutOff {
        /// The number of the chunk; 0 is the header.
        chunk: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the backup is damaged in chunk {chunk} ({what}): use another copy of it")]
    Damaged {
        /// The number of the chunk; 0 is the header.
        chunk: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It could not be read.
    #[error("the backup could not be read ({0}): check its disk")]
    Unreadable(#[from] io::Error),
}

impl BackupFault {
    pub(super) fn damaged(chunk: u64, what: &'static str) -> Self {
        Self::Damaged { chunk, what }
    }
}

/// Why a user could not be taken out of a backup.
#[derive(Debug, thiserror::Error)]
pub enum FindUserError {
    /// The backup is not sound.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// It has no state of the user.
    #[error(
        "the backup has nobody with this key: it is of another data directory or from before the user came, so use another one"
    )]
    NotThere,
    /// It has more of the user than is sent.
    #[error("the backup has more than 32 MiB of the user: restore the whole data directory with `restore`")]
    TooMuch,
}

/// Why a data directory was not restored. Nothing of the backup is left in it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is not sound.
    #[error(transparent)]
    Backup(#[from] BackupFault),
    /// The keyring, or what was written, does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The data directory is in use.
    #[error("`{}` has `{name}` in it: restore into an empty directory", path.display())]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
        /// What is in it.
        name: String,
    },
    /// No keyring was given, and none is in the data directory.
    #[error(
        "there is no keyring, without which nothing in the backup can be read: name the keyring backup with `--keyring`"
    )]
    KeyringMissing,
    /// A keyring is there already.
    #[error("there is a keyring already (`{}`): if it is damaged, move it away first", path.display())]
    KeyringThere {
        /// The keyring.
        path: PathBuf,
    },
    /// There is no data that a keyring could belong to.
    #[error("there is no data in `{}`: to restore it together with the keyring, use `restore --keyring`", path.display())]
    NoData {
        /// The data directory.
        path: PathBuf,
    },
    /// The keyring is not the one of the backup.
    #[error("the keyring belongs to another data directory: give the keyring backup of the same one")]
    WrongKeyring,
    /// The file is no backup of a keyring, or is damaged.
    #[error("the keyring backup `{}` cannot be used ({what}): use another copy of it", path.display())]
    KeyringBackup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The keyring backup should have been deleted.
    #[error(
        "the keyring backup was to be kept until {until} only, which erasure receipts promise: use a newer one, and delete it"
    )]
    KeyringExpired {
        /// The end of its retention, RFC 3339.
        until: String,
    },
    /// Erasures after the keyring backup are not known.
    #[error(
        "the audit log ends before the keyring backup was made, so erasures since then would be undone: give the newest audit log with `--audit`"
    )]
    AuditLogOlder,
    /// The keyring is a copy whose age is not known.
    #[error(
        "the keyring was not made by `keyring backup`, so nobody knows which erasures it has missed: give the newest audit log with `--audit`, or accept with `--accept-older-audit-log` that erasures since then are undone"
    )]
    KeyringAgeUnknown,
    /// The audit log is not sound.
    #[error("the audit log cannot be trusted ({0}): give another copy of it with `--audit`")]
    AuditLog(String),
    /// A record of the backup does not open with the keyring.
    #[error("what was restored is not sound ({0}): check the data directory that the backup was made of")]
    Unsound(#[source] StoreFault),
    /// A file could not be written.
    #[error("could not {doing} `{}` ({source}): check that the path is writable and has disk space", path.display())]
    Disk {
        /// What was being done: an imperative.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// sled could not be written.
    #[error("sled could not be written ({0}): check that the directory has disk space")]
    Sled(#[from] sled::Error),
}
