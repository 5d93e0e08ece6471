//! The end of what was acknowledged, kept in memory until the page that it lies in is full.
//!
//! A group begins where the one before ended, mostly in the same page of the file. When the sync of the group fails, the
//! kernel drops that page as written though nobody knows what the disk holds of it. Written once more, it is dirty again,
//! and the next sync that succeeds covers it.

use std::io;
use std::sync::Arc;

use super::position::Position;
use crate::disk::{DiskFile, WriteFailed, read_full_at, write_all_at};

/// No system has larger pages.
const PAGE_BYTES: u32 = 64 << 10;

/// The acknowledged bytes of a segment's last page.
pub(super) struct LastPage {
    file: Arc<dyn DiskFile>,
    start: u32,
    bytes: Vec<u8>,
}

impl LastPage {
    /// Reads the page before `end`, which was just synced. One that does not read is not there to be written again.
    pub(super) fn read(file: Arc<dyn DiskFile>, end: Position) -> Self {
        let start = page(end.offset);
        let mut bytes = vec![0; (end.offset - start) as usize];
        let filled = read_full_at(&*file, &mut bytes, u64::from(start)).unwrap_or(0);
        bytes.truncate(filled);
        Self { file, start, bytes }
    }

    /// More was acknowledged.
    pub(super) fn extend(&mut self, group: &[u8]) {
        let end = self.start + (self.bytes.len() + group.len()) as u32;
        let start = page(end);
        if start > self.start {
            let kept = (end - start) as usize;
            let of_old = kept.saturating_sub(group.len());
            self.bytes.drain(..self.bytes.len() - of_old);
            self.bytes.extend_from_slice(&group[group.len() - (kept - of_old)..]);
            self.start = start;
        } else {
            self.bytes.extend_from_slice(group);
        }
    }

    /// Writes the page once more, durable when it returns.
    pub(super) fn write_again(&self) -> io::Result<()> {
        write_all_at(&*self.file, &self.bytes, u64::from(self.start)).map_err(|WriteFailed { source, .. }| source)?;
        self.file.sync_data()
    }
}

fn page(offset: u32) -> u32 {
    offset / PAGE_BYTES * PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    #[test]
    fn it_holds_the_bytes_since_the_last_page_began() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RealDisk.create(&dir.path().join("file")).expect("a file");
        let all: Vec<u8> = (0..500_000_u32).map(|byte| (byte % 251) as u8).collect();
        let mut end = 4096;
        file.write_at(&all[..end], 0).expect("written");
        let mut page = LastPage::read(file.clone(), Position::new(1, end as u32));
        for length in [10, 60_000, 1_430, 1, 200_000, 64 << 10, 63 << 10, 70_000] {
            page.extend(&all[end..end + length]);
            end += length;
            let start = end / (64 << 10) * (64 << 10);
            assert_eq!((page.start as usize, &page.bytes[..]), (start, &all[start..end]));
        }
        page.write_again().expect("written");
        let mut read = vec![0; end - page.start as usize];
        file.read_at(&mut read, u64::from(page.start)).expect("read");
        assert_eq!(read, page.bytes);
    }
}
