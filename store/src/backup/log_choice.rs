//! Which audit log a restored directory gets, and which erasures it knows.

use std::fs;
use std::io;
use std::path::Path;

use super::error::RestoreError;
use super::restore::RestoreOptions;
use super::target::RestoreTarget;
use crate::SystemKeys;
use crate::audit::{self, AuditKeys, Erasure, KnownErasures, VerifyOptions};

/// Checks the log of the backup and the one that was given. The newer one becomes that of the directory. Returns what
/// they know. `keyring_time` is when the backup of the keyring was made.
pub(super) fn choose_log(
    options: &RestoreOptions,
    keys: &SystemKeys,
    keyring_time: Option<i64>,
    target: &RestoreTarget,
) -> Result<ErasuresOfLogs, RestoreError> {
    let known = known_erasures(target.path(), options.audit.as_deref(), keys, keyring_time, options.accept_older_log)?;
    if let Some(given) = options.audit.as_deref().filter(|_| known.is_given_newer) {
        replace(given, &audit::directory(target.path()))?;
    }
    Ok(known)
}

/// What two logs know together.
pub(super) struct ErasuresOfLogs {
    pub(super) erasures: Vec<Erasure>,
    /// Whether the log that was given is newer than that of the data directory.
    is_given_newer: bool,
    /// Until when a backup of the keyring may be kept, as far as they know.
    pub(super) keep_until: i64,
}

/// Checks the log of a data directory and one that was given, and returns the erasures that either knows.
///
/// # Errors
/// A log is not sound, or both are older than `keyring_time` and that is not accepted.
pub(super) fn known_erasures(
    data_dir: &Path,
    given: Option<&Path>,
    keys: &SystemKeys,
    keyring_time: Option<i64>,
    accept_older_log: bool,
) -> Result<ErasuresOfLogs, RestoreError> {
    let own = read(&audit::directory(data_dir), keys)?;
    if let Some(path) = given.filter(|path| !path.is_dir()) {
        let source = io::ErrorKind::NotADirectory.into();
        return Err(RestoreError::Disk { doing: "read the audit log", path: path.to_owned(), source });
    }
    let given = given.map(|given| read(given, keys)).transpose()?.unwrap_or_else(KnownErasures::none);
    if keyring_time.is_some_and(|time| own.newest.max(given.newest) < time) && !accept_older_log {
        return Err(RestoreError::AuditLogOlder);
    }
    let is_given_newer = given.newest > own.newest;
    let mut erasures = [own.erasures, given.erasures].concat();
    erasures.sort_unstable();
    erasures.dedup();
    Ok(ErasuresOfLogs { erasures, is_given_newer, keep_until: own.keep_until.max(given.keep_until) })
}

/// Checks a log and reads what it knows. A directory without one knows nothing.
fn read(directory: &Path, keys: &SystemKeys) -> Result<KnownErasures, RestoreError> {
    if !directory.is_dir() {
        return Ok(KnownErasures::none());
    }
    let keys = AuditKeys::derive(keys);
    let options = VerifyOptions {
        directory: directory.to_owned(),
        public_key: keys.public_key(),
        keys: Some(&keys),
        anchors: Vec::new(),
    };
    audit::verify(&options).map_err(|fault| RestoreError::AuditLog(fault.to_string()))?;
    let failed = |source| RestoreError::Disk { doing: "read", path: directory.to_owned(), source };
    audit::erasures(directory).map_err(failed)
}

/// Puts a copy of a log in place of another.
fn replace(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Disk { doing: "copy the audit log to", path: to.to_owned(), source };
    let copy = || {
        if to.is_dir() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if audit::is_copied_name(&format!("{}/{name}", audit::DIRECTORY)) {
                fs::copy(from.join(&name), to.join(&name))?;
                fs::File::open(to.join(&name))?.sync_all()?;
            }
        }
        fs::File::open(to)?.sync_all()
    };
    copy().map_err(failed)?;
    crate::permissions::restrict(to)?;
    Ok(())
}
