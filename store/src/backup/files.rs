//! The files of a backup: the registry, the audit log, and what the operator has configured.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::chunk::FilePart;
use super::error::BackupError;
use crate::audit;

/// The name of the registry in a backup.
pub(super) const REGISTRY_NAME: &str = "registry";
/// The files of the operator, in the order in which they are read.
pub(super) const OPERATOR_FILES: [&str; 5] =
    ["access.toml", "completeness.toml", "config.local.toml", "export.toml", "limits.toml"];
/// Bytes of a file in one chunk.
const PART_BYTES: u64 = 1 << 20;
/// Bytes at the end of a file of lines in which the last line break is looked for. A line is shorter.
const TAIL_BYTES: u64 = 64 << 10;

/// A file that is to be copied up to a length. It may grow meanwhile.
pub(crate) struct FileToCopy {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    /// Whether it consists of lines, of which the last one may be incomplete.
    pub(crate) has_lines: bool,
}

impl FileToCopy {
    /// Returns a file with its present length; `None` if it does not exist.
    pub(crate) fn find(directory: &Path, name: String, has_lines: bool) -> io::Result<Option<Self>> {
        let path = directory.join(&name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(Self { name, path, length: found.len(), has_lines })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Copies files part by part.
pub(super) struct FileCopy {
    files: VecDeque<FileToCopy>,
    open: Option<OpenFile>,
}

struct OpenFile {
    name: String,
    file: File,
    at: u64,
    end: u64,
}

impl FileCopy {
    /// Returns the copy of the audit log and of the operator's files as they are now.
    pub(super) fn begin(data_dir: &Path) -> Result<Self, BackupError> {
        let failed = |name: &str| {
            let name = name.to_owned();
            move |source| BackupError::File { name, source }
        };
        let mut files = VecDeque::from(audit::files_to_copy(data_dir).map_err(failed("audit"))?);
        for name in OPERATOR_FILES {
            files.extend(FileToCopy::find(data_dir, name.to_owned(), false).map_err(failed(name))?);
        }
        Ok(Self { files, open: None })
    }

    /// Returns the number of bytes that are to be copied.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Returns the next part; `None` at the end. An empty file has one part.
    pub(super) fn next(&mut self) -> Result<Option<FilePart>, BackupError> {
        // A file that was removed since is left out: a segment of the audit log has a stub then.
        while self.open.is_none() {
            let Some(file) = self.files.pop_front() else { return Ok(None) };
            let name = file.name.clone();
            self.open = OpenFile::open(file).map_err(|source| BackupError::File { name, source })?;
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let mut bytes = vec![0; (open.end - open.at).min(PART_BYTES) as usize];
        let read = open.file.read_exact_at(&mut bytes, open.at);
        read.map_err(|source| BackupError::File { name: open.name.clone(), source })?;
        let part = FilePart { name: open.name.clone(), offset: open.at, bytes };
        open.at += part.bytes.len() as u64;
        if open.at == open.end {
            self.open = None;
        }
        Ok(Some(part))
    }
}

impl OpenFile {
    /// Opens a file; `None` if it was removed.
    fn open(wanted: FileToCopy) -> io::Result<Option<Self>> {
        let file = match File::open(&wanted.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // A file that was thinned meanwhile is shorter.
        let length = wanted.length.min(file.metadata()?.len());
        let end = if wanted.has_lines { end_of_lines(&file, length)? } else { length };
        Ok(Some(Self { name: wanted.name, file, at: 0, end }))
    }
}

/// Returns where the last complete line ends.
fn end_of_lines(file: &File, length: u64) -> io::Result<u64> {
    let start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (length - start) as usize];
    file.read_exact_at(&mut tail, start)?;
    let line_break = tail.iter().rposition(|byte| *byte == b'\n');
    Ok(line_break.map_or(start, |at| start + at as u64 + 1))
}

/// Returns whether a restored file may have this name: no other is written, whatever a backup says.
pub(super) fn is_known_name(name: &str) -> bool {
    name == REGISTRY_NAME || OPERATOR_FILES.contains(&name) || audit::is_copied_name(name)
}
