//! Where signed tree heads go: the files `heads-{month}.log`.

use std::io;
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
    open: Option<OpenHeads>,
}

struct OpenHeads {
    month: Month,
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Whether a write or sync has failed, so that bytes of a head that was not stored may follow `end`.
    has_remains: bool,
}

impl HeadLog {
    /// Opens the newest file of heads, and returns the last complete line of it. Nothing is changed.
    pub(super) fn open(files: AuditFiles) -> io::Result<(Self, Option<String>)> {
        let Some(month) = files.months("heads", ".log")?.pop() else {
            return Ok((Self { files, open: None }, None));
        };
        let file = files.disk.open(&files.heads(month))?;
        let (end, last) = last_line(&*file)?;
        Ok((Self { files, open: Some(OpenHeads { month, file, end, has_remains: false }) }, last))
    }

    /// Removes a line at the end that a crash has cut.
    pub(super) fn repair(&self) -> io::Result<()> {
        match &self.open {
            Some(OpenHeads { file, end, .. }) if *end < file.length()? => file.truncate(*end),
            _ => Ok(()),
        }
    }

    /// Appends a head. Durable when it returns. After a failure the file is first cut to its last stored head: a shorter line
    /// would leave the end of the failed one behind it, and the next start would refuse that as a damaged head.
    ///
    /// # Errors
    /// The head was not stored, or what a failed one has left could not be removed.
    pub(super) fn append(&mut self, head: &SignedTreeHead) -> io::Result<()> {
        let month = Month::at(head.head.time);
        let line = format!("{}\n", head.line);
        match &mut self.open {
            Some(open) if month <= open.month => {
                if open.has_remains {
                    open.file.truncate(open.end)?;
                }
                open.has_remains = true;
                write_all_at(&*open.file, line.as_bytes(), open.end).map_err(|failed| failed.source)?;
                open.file.sync_data()?;
                open.end += line.len() as u64;
                open.has_remains = false;
            }
            _ => {
                let file = self.files.write_file(&self.files.heads(month), line.as_bytes())?;
                self.open = Some(OpenHeads { month, file, end: line.len() as u64, has_remains: false });
            }
        }
        Ok(())
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
