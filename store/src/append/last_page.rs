//! The acknowledged bytes of the last page of the journal, kept in memory until the page is full.
//!
//! A group begins where the one before ended, mostly in the same page of the file. When the sync of the group fails, the
//! kernel treats that page as clean, although it may not be on the disk. Written again, it is dirty again, and the next
//! sync that succeeds covers it.

use std::io;
use std::sync::Arc;

use crate::disk::{DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::journal::Position;

/// No supported system has larger pages.
const MAX_PAGE_BYTES: u32 = 64 << 10;

/// The acknowledged bytes of a segment's last page.
pub(super) struct LastPage {
    file: Arc<dyn DiskFile>,
    start: u32,
    end: u32,
    bytes: Vec<u8>,
    /// Whether `bytes` holds everything between `start` and `end`. If the page could not be read, it is empty.
    whole: bool,
}

impl LastPage {
    /// Reads the page before `end`, which was just synced. A page that cannot be read cannot be written again.
    pub(super) fn read(file: Arc<dyn DiskFile>, end: Position) -> Self {
        let start = page_start(end.offset);
        let mut bytes = vec![0; (end.offset - start) as usize];
        let whole = read_full_at(&*file, &mut bytes, u64::from(start)).is_ok_and(|filled| filled == bytes.len());
        if !whole {
            bytes.clear();
        }
        Self { file, start, end: end.offset, bytes, whole }
    }

    /// Adds a group that was acknowledged.
    pub(super) fn extend(&mut self, group: &[u8]) {
        let end = self.end + group.len() as u32;
        let start = page_start(end);
        self.end = end;
        let kept = (end - start) as usize;
        if !self.whole {
            // It is whole again once a group covers all of the page that is now the last.
            self.start = start;
            self.whole = kept <= group.len();
            if self.whole {
                self.bytes.extend_from_slice(&group[group.len() - kept..]);
            }
        } else if start > self.start {
            let of_old = kept.saturating_sub(group.len());
            self.bytes.drain(..self.bytes.len() - of_old);
            self.bytes.extend_from_slice(&group[group.len() - (kept - of_old)..]);
            self.start = start;
        } else {
            self.bytes.extend_from_slice(group);
        }
    }

    /// Writes the page again. Durable when it returns.
    pub(super) fn write_again(&self) -> io::Result<()> {
        if !self.whole {
            return Err(io::Error::other("it could not be read before"));
        }
        write_all_at(&*self.file, &self.bytes, u64::from(self.start)).map_err(|WriteFailed { source, .. }| source)?;
        self.file.sync_data()
    }
}

fn page_start(offset: u32) -> u32 {
    offset / MAX_PAGE_BYTES * MAX_PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    const PAGE: usize = MAX_PAGE_BYTES as usize;

    #[test]
    fn it_holds_the_bytes_since_the_start_of_the_last_page() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RealDisk.create(&dir.path().join("file")).expect("a file");
        let all: Vec<u8> = (0..500_000_u32).map(|byte| (byte % 251) as u8).collect();
        let mut end = 5000;
        file.write_at(&all[..end], 0).expect("written");
        let mut page = LastPage::read(file.clone(), Position::new(1, end as u32));
        for length in [10, 60_000, 1_430, 1, 200_000, PAGE, PAGE - 1024, 70_000] {
            page.extend(&all[end..end + length]);
            end += length;
            let start = end / PAGE * PAGE;
            assert_eq!((page.start as usize, &page.bytes[..]), (start, &all[start..end]));
        }
        page.write_again().expect("written");
        let mut read = vec![0; end - page.start as usize];
        file.read_at(&mut read, u64::from(page.start)).expect("read");
        assert_eq!(read, page.bytes);
    }

    /// A file whose reads return half of what is asked for and then fail.
    struct ShortReads(Arc<dyn DiskFile>);

    impl DiskFile for ShortReads {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            if !offset.is_multiple_of(MAX_PAGE_BYTES.into()) {
                return Err(io::Error::from_raw_os_error(5));
            }
            let half = buffer.len() / 2;
            self.0.read_at(&mut buffer[..half], offset)
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            self.0.write_at(bytes, offset)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn allocate(&self, bytes: u64) -> io::Result<()> {
            self.0.allocate(bytes)
        }

        fn truncate(&self, bytes: u64) -> io::Result<()> {
            self.0.truncate(bytes)
        }

        fn length(&self) -> io::Result<u64> {
            self.0.length()
        }

        fn written_at(&self) -> io::Result<i64> {
            self.0.written_at()
        }
    }

    #[test]
    fn a_page_that_was_not_read_overwrites_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let file = RealDisk.create(&path).expect("a file");
        let all: Vec<u8> = (0..300_000_u32).map(|byte| (byte % 251) as u8).collect();
        file.write_at(&all, 0).expect("written");
        let mut end = 5000;
        let mut page = LastPage::read(Arc::new(ShortReads(file)), Position::new(1, end as u32));
        for length in [10, 59_000] {
            page.extend(&all[end..end + length]);
            end += length;
            page.write_again().expect_err("the content is unknown");
        }
        // The first page that was acknowledged as a whole since then is known again.
        page.extend(&all[end..end + 70_000]);
        page.write_again().expect("written");
        assert_eq!(std::fs::read(&path).expect("the file"), all);
    }
}
