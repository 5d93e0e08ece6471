//! Where signed tree heads go: the files `heads-{month}.log`. Of a month that is over, the last head of each hour is kept: a
//! head has all that the ones before it have, and one a minute would be half a gigabyte a year.

use std::io;
use std::sync::Arc;

use super::files::AuditFiles;
use super::month::Month;
use super::tree_head::SignedTreeHead;
use crate::disk::{DiskFile, read_full_at, write_all_at};

/// Bytes at the end of a file in which its last line is looked for. A head is shorter.
const TAIL_BYTES: u64 = 4_096;

/// Size in bytes from which on the file of a closed month is thinned: more than a head for each of its hours takes.
const MAX_CLOSED_BYTES: u64 = 1 << 20;

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

    /// Removes a line at the end that a crash has cut, and makes the others durable, which a killed process may only have written.
    pub(super) fn repair(&self) -> io::Result<()> {
        let Some(OpenHeads { file, end, .. }) = &self.open else { return Ok(()) };
        if *end < file.length()? {
            file.truncate(*end)?;
        }
        file.sync_data()
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
                // The new head is stored, whatever becomes of the others.
                if let Err(error) = self.thin_closed(month) {
                    tracing::warn!(
                        "the tree heads of closed months were not thinned, and are tried again in a month: {error}"
                    );
                }
            }
        }
        Ok(())
    }

    /// Thins the files of the months before `open` that have more than a head for each hour.
    fn thin_closed(&self, open: Month) -> io::Result<()> {
        for month in self.files.months("heads", ".log")?.into_iter().filter(|month| *month < open) {
            let path = self.files.heads(month);
            let file = self.files.disk.open(&path)?;
            let length = file.length()?;
            if length > MAX_CLOSED_BYTES {
                let mut text = vec![0; length as usize];
                let filled = read_full_at(&*file, &mut text, 0)?;
                self.files.write_file(&path, &last_of_each_hour(&text[..filled]))?;
            }
        }
        Ok(())
    }
}

/// Returns the last line of each hour in a file of heads. A line that is no head is kept: it is for those who check the log.
pub(super) fn last_of_each_hour(text: &[u8]) -> Vec<u8> {
    // The time is the last member of a canonical head, as in `"time":"2026-11-29T20:15:00Z"}`.
    let hour = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let (_, time) = line.rsplit_once("\"time\":\"")?;
        time.get(..13).map(str::to_owned)
    };
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let hours: Vec<_> = lines.iter().map(|line| hour(line)).collect();
    let is_last = |at: usize| hours[at].is_none() || hours.get(at + 1) != Some(&hours[at]);
    let kept = lines.iter().enumerate().filter(|(at, _)| is_last(*at));
    kept.flat_map(|(_, line)| line.iter().copied()).collect()
}

/// Returns the last complete line of a file, and where it ends. A line with zeros is not complete: a power cut has lost a page of
/// it, and kept the next one.
fn last_line(file: &dyn DiskFile) -> io::Result<(u64, Option<String>)> {
    let length = file.length()?;
    let start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (length - start) as usize];
    let mut left = read_full_at(file, &mut tail, start)?;
    while let Some(end) = tail[..left].iter().rposition(|byte| *byte == b'\n') {
        let before = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = &tail[before..end];
        if !line.contains(&0) {
            return Ok((start + end as u64 + 1, String::from_utf8(line.to_vec()).ok()));
        }
        left = before;
    }
    Ok((start, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_of_each_hour_is_kept_and_so_is_what_is_none() {
        let line = |size: u64, time: &str| format!("{{\"size\":{size},\"time\":\"2026-11-{time}Z\"}}\n");
        let (first, second) = (line(1, "29T20:00:00"), line(2, "29T20:59:59.9"));
        let (third, fourth) = (line(3, "29T21:00:00"), line(4, "30T21:00:00"));
        let text = [&first, &second, "damaged\n", &third, &fourth, "cut"].concat();
        let kept = [&second, "damaged\n", &third, &fourth, "cut"].concat();
        assert_eq!(String::from_utf8(last_of_each_hour(text.as_bytes())), Ok(kept.clone()));
        assert_eq!(last_of_each_hour(kept.as_bytes()), kept.into_bytes(), "what is thinned stays as it is");
    }
}
