//! The keyring that a restore is given: a backup of it, the file of another data directory, or the one that is in the data
//! directory already.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use domain::day::format_instant;

use super::error::RestoreError;
use crate::SystemKeys;
use crate::disk::{Disk, WriteFailed, write_all_at};
use crate::keyring::{self, KEYRING_HEADER_BYTES, KeyringMac, KeyringTrailer, TRAILER_BYTES};
use crate::options::MasterKey;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// A keyring that was checked.
pub(super) struct GivenKeyring {
    file: File,
    path: PathBuf,
    /// Bytes without the trailer.
    length: u64,
    keys: SystemKeys,
    /// `None` for a keyring that is no backup.
    trailer: Option<KeyringTrailer>,
}

impl GivenKeyring {
    /// Opens and checks the keyring at `path`. A backup whose retention has ended at the time `now` is refused.
    pub(super) fn open(path: &Path, master: &MasterKey, now: i64) -> Result<Self, RestoreError> {
        let disk = |source| RestoreError::Disk { doing: "read the keyring", path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RestoreError::KeyringMissing),
            file => file.map_err(disk)?,
        };
        let total = file.metadata().map_err(disk)?.len();
        let mut header = vec![0; total.min(KEYRING_HEADER_BYTES as u64) as usize];
        file.read_exact_at(&mut header, 0).map_err(disk)?;
        let keys = keyring::find_system_keys(&header, master)?;
        let refused = |what| RestoreError::KeyringBackup { path: path.to_owned(), what };
        let mut trailer_bytes = [0; TRAILER_BYTES];
        let length = total.saturating_sub(TRAILER_BYTES as u64);
        file.read_exact_at(&mut trailer_bytes, length).map_err(disk)?;
        if !KeyringTrailer::is_one(&trailer_bytes) {
            return Ok(Self { file, path: path.to_owned(), length: total, keys, trailer: None });
        }
        let trailer = KeyringTrailer::decode(&trailer_bytes).map_err(refused)?;
        if trailer.length != length {
            return Err(refused("a part of it is missing"));
        }
        let given = Self { file, path: path.to_owned(), length, keys, trailer: Some(trailer) };
        let mut mac = KeyringMac::new(&given.keys);
        given.pieces(|_, piece| {
            mac.update(piece);
            Ok(())
        })?;
        if !mac.matches_trailer(&trailer_bytes) {
            return Err(refused("it was changed"));
        }
        if trailer.keep_until <= now {
            return Err(RestoreError::KeyringExpired { until: format_instant(trailer.keep_until) });
        }
        Ok(given)
    }

    pub(super) fn keys(&self) -> &SystemKeys {
        &self.keys
    }

    /// Returns when the backup of the keyring was made; `None` for a keyring that is no backup.
    pub(super) fn time(&self) -> Option<i64> {
        self.trailer.map(|trailer| trailer.time)
    }

    /// Returns until when the backup may be kept; `i64::MIN` for a keyring that is no backup.
    pub(super) fn keep_until(&self) -> i64 {
        self.trailer.map_or(i64::MIN, |trailer| trailer.keep_until)
    }

    /// Writes the keyring, without the trailer, to the file at `to`. Durable when it returns, but for its name.
    pub(super) fn write_to(&self, disk: &dyn Disk, to: &Path) -> Result<(), RestoreError> {
        let failed = |source| RestoreError::Disk { doing: "write the keyring", path: to.to_owned(), source };
        let file = disk.create(to).map_err(failed)?;
        self.pieces(|at, piece| write_all_at(&*file, piece, at).map_err(|WriteFailed { source, .. }| failed(source)))?;
        file.sync_data().map_err(failed)
    }

    /// Passes the bytes of the keyring, each piece with its offset.
    fn pieces(&self, mut take: impl FnMut(u64, &[u8]) -> Result<(), RestoreError>) -> Result<(), RestoreError> {
        let disk = |source| RestoreError::Disk { doing: "read the keyring", path: self.path.clone(), source };
        let mut at = 0;
        while at < self.length {
            let mut piece = vec![0; (self.length - at).min(PIECE_BYTES) as usize];
            self.file.read_exact_at(&mut piece, at).map_err(disk)?;
            take(at, &piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// Puts a file's new content in place of an old one under the same name. Durable when it returns.
pub(super) fn replace_file(disk: &dyn Disk, new: &Path, path: &Path) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Disk { doing: "name the file", path: path.to_owned(), source };
    disk.rename(new, path).map_err(failed)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    disk.directory(directory).and_then(|directory| directory.sync()).map_err(failed)
}
