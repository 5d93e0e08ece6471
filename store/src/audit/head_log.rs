//! Where signed tree heads go: the files `heads-{month}.log`, and the anchor file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::AuditFiles;
use super::month::Month;
use super::tree_head::SignedTreeHead;
use crate::disk::{DiskFile, read_full_at, write_all_at};

/// Bytes at the end of a file in which its last line is looked for. A head is shorter.
const TAIL_BYTES: u64 = 4_096;

/// The open file of heads.
pub(super) struct HeadLog {
    files: AuditFiles,
    anchors: PathBuf,
    open: Option<OpenHeads>,
}

struct OpenHeads {
    month: Month,
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl HeadLog {
    /// Opens the newest file of heads, and returns the last line of it. A line that a crash has cut is removed.
    pub(super) fn open(files: AuditFiles, anchors: PathBuf) -> io::Result<(Self, Option<String>)> {
        let Some(month) = files.months("heads", ".log")?.pop() else {
            return Ok((Self { files, anchors, open: None }, None));
        };
        let file = files.disk.open(&files.heads(month))?;
        let (end, last) = last_line(&*file)?;
        if end < file.length()? {
            file.truncate(end)?;
        }
        Ok((Self { files, anchors, open: Some(OpenHeads { month, file, end }) }, last))
    }

    /// Appends a head. Durable when it returns.
    pub(super) fn append(&mut self, head: &SignedTreeHead) -> io::Result<()> {
        let month = Month::at(head.head.time);
        let line = format!("{}\n", head.line);
        match &mut self.open {
            Some(open) if month <= open.month => {
                write_all_at(&*open.file, line.as_bytes(), open.end).map_err(|failed| failed.source)?;
                open.file.sync_data()?;
                open.end += line.len() as u64;
            }
            _ => {
                let file = self.files.write_file(&self.files.heads(month), line.as_bytes())?;
                self.open = Some(OpenHeads { month, file, end: line.len() as u64 });
            }
        }
        Ok(())
    }

    /// Appends a head to the anchor file.
    pub(super) fn anchor(&self, head: &SignedTreeHead) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).create(true).append(true).mode(0o600).open(&self.anchors)?;
        let mut last = [0];
        let length = file.metadata()?.len();
        // The file may be on a mount that can only be appended to, so a line that was cut stays, on a line of its own.
        let is_torn = length > 0 && file.read_exact_at(&mut last, length - 1).map(|()| last != *b"\n")?;
        let before = if is_torn { "\n" } else { "" };
        file.write_all(format!("{before}{}\n", head.line).as_bytes())?;
        file.sync_data()
    }

    pub(super) fn anchor_path(&self) -> &Path {
        &self.anchors
    }
}

/// Returns the last complete line of a file, and where it ends.
fn last_line(file: &dyn DiskFile) -> io::Result<(u64, Option<String>)> {
    let length = file.length()?;
    let start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (length - start) as usize];
    let filled = read_full_at(file, &mut tail, start)?;
    let Some(end) = tail[..filled].iter().rposition(|byte| *byte == b'\n') else { return Ok((start, None)) };
    let before = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((start + end as u64 + 1, String::from_utf8(tail[before..end].to_vec()).ok()))
}

/// Returns the last complete line of the anchor file; `None` if there is no such file or no line.
pub(super) fn last_anchor(path: &Path) -> io::Result<Option<String>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut lines = tail.split(|byte| *byte == b'\n').rev().skip(1);
    Ok(lines.next().and_then(|line| String::from_utf8(line.to_vec()).ok()).filter(|line| !line.is_empty()))
}
