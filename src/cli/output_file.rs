//! A file that a command writes as a whole, or stdout in its place.

use std::fs::{self, File};
use std::io::{self, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

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
        let part = Self::part_of(path);
        // A part that somebody else may read is not taken over.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not replace `{}`", part.display()));
            }
            _ => {}
        }
        let created = File::options().write(true).create_new(true).mode(0o600).open(&part);
        let file = created.with_context(|| format!("could not create `{}`: choose another place", part.display()))?;
        Ok(Self::File { file, part, path: path.to_owned() })
    }

    /// Opens the part of an earlier run, to write on after the first `bytes` of it.
    ///
    /// # Errors
    /// There is no part, or it cannot be written.
    pub(super) fn reopen(path: &Path, bytes: u64) -> anyhow::Result<Self> {
        let part = Self::part_of(path);
        let opened = File::options().append(true).open(&part).and_then(|file| file.set_len(bytes).map(|()| file));
        let file = opened.with_context(|| format!("could not write on in `{}`", part.display()))?;
        Ok(Self::File { file, part, path: path.to_owned() })
    }

    /// Returns where the file is until it is complete.
    pub(super) fn part_of(path: &Path) -> PathBuf {
        PathBuf::from(format!("{}.part", path.display()))
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
        if let Self::File { part, .. } = self {
            let _ = fs::remove_file(part);
        }
    }
}
