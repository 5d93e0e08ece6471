//! A file that a command writes as a whole, or stdout in its place.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write, stdout};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::output::StdoutError;

/// The name of a file that stands for stdout, or stdin.
pub(super) const STANDARD: &str = "-";

/// Where a command writes. A file gets its name when it is complete and durable; only its owner may read it.
pub(super) enum OutputFile {
    Stdout,
    File { file: File, part: PathBuf, path: PathBuf },
}

impl OutputFile {
    /// Creates the file that becomes `path`, or takes stdout for `-`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new(STANDARD) {
            return Ok(Self::Stdout);
        }
        let part = part_of(path);
        drop(Self::open_part(path)?);
        // A part that somebody else may read is not taken over.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not replace `{}`", part.display()));
            }
            _ => {}
        }
        let created = File::options().write(true).create_new(true).mode(0o600).open(&part);
        let file = created.with_context(|| format!("could not create `{}`: choose another place", part.display()))?;
        lock(&file, &part)?;
        still_named(&file, &part)?;
        Ok(Self::File { file, part, path: path.to_owned() })
    }

    /// Opens the part of `path` that an earlier run has left, so that no other command writes it meanwhile; `None` if there is
    /// none.
    ///
    /// # Errors
    /// Another command writes it, or it cannot be opened.
    pub(super) fn open_part(path: &Path) -> anyhow::Result<Option<File>> {
        let part = part_of(path);
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = match File::options().read(true).write(true).custom_flags(no_link).open(&part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(|| format!("could not open `{}`: remove it", part.display()))?,
        };
        lock(&file, &part)?;
        Ok(Some(file))
    }

    /// Returns the output that continues a part of `path` after its first `bytes`. Only its owner may read it from now on.
    ///
    /// # Errors
    /// It cannot be changed.
    pub(super) fn continued(mut file: File, path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let part = part_of(path);
        let mut change = || {
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes)).map(drop)
        };
        change().with_context(|| format!("could not change `{}`: make a backup without `--resume`", part.display()))?;
        Ok(Self::File { file, part, path: path.to_owned() })
    }

    /// Writes further bytes.
    ///
    /// # Errors
    /// The disk is full, or the reader of stdout has gone away.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            // Half a backup is no success: that the reader has gone away is an error here.
            Self::Stdout => stdout().write_all(bytes).map_err(StdoutError::Io).context("the backup is not complete"),
            Self::File { file, part, .. } => file.write_all(bytes).with_context(|| {
                format!("could not write `{}`: free some space, or choose another place", part.display())
            }),
        }
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// The disk fails. The part is left behind.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self::File { file, part, path } = self else {
            return stdout().flush().map_err(StdoutError::Io).context("the backup is not complete");
        };
        still_named(&file, &part)?;
        let name = || {
            file.sync_all()?;
            fs::rename(&part, &path)?;
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        name().with_context(|| format!("could not complete `{}`", path.display()))
    }

    /// Removes what was written, after an error.
    pub(super) fn discard(self) {
        if let Self::File { file, part, .. } = self
            && still_named(&file, &part).is_ok()
        {
            let _ = fs::remove_file(part);
        }
    }
}

/// Returns where the file is until it is complete.
fn part_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", path.display()))
}

/// Makes sure that no other command writes a part, where the file system has locks. The lock ends with the file.
fn lock(file: &File, part: &Path) -> anyhow::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(taken(part)),
        _ => Ok(()),
    }
}

/// Makes sure that a part has not been removed, and perhaps replaced, by another command since it was opened.
fn still_named(file: &File, part: &Path) -> anyhow::Result<()> {
    let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (file.metadata().ok(), fs::symlink_metadata(part).ok());
    match opened.as_ref().map(identity) == named.as_ref().map(identity) {
        true => Ok(()),
        false => Err(taken(part)),
    }
}

fn taken(part: &Path) -> anyhow::Error {
    anyhow!("another command writes `{}`: wait for its end", part.display())
}
