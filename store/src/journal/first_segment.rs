//! The segment that start-up creates. On a full disk, too: then everything can be read, and writes wait for space.

use std::io;
use std::sync::Arc;

use super::frame::MARK_BYTES;
use super::segment::{SegmentRetention, Segments};
use super::segment_header::{MovedGroup, SEGMENT_HEADER_BYTES};
use crate::disk::{DiskFile, is_full, read_full_at};

const PAGE_BYTES: usize = 4096;
/// Bytes of one read.
const CHUNK_BYTES: u64 = 1 << 20;

impl Segments {
    /// Creates a segment of `bytes` bytes. If there is no space for it, removes the segments that are kept only for
    /// followers, then cuts the unused end off the segment before, then creates the smallest segment that holds `first`,
    /// and at last calls `release_reserve`, which frees the space that is reserved for sled.
    pub(super) fn create_first(
        &self,
        number: u32,
        previous_end: u32,
        bytes: u64,
        (first, moved): (&[u8], MovedGroup),
        release_reserve: &dyn Fn(),
    ) -> io::Result<Arc<dyn DiskFile>> {
        let has_no_space = |result: &io::Result<_>| result.as_ref().err().is_some_and(is_full);
        let create = |bytes| self.create_with(number, previous_end, bytes, first, moved);
        let mut result = create(bytes);
        if has_no_space(&result) && self.remove_folded(SegmentRetention::NONE)? {
            result = create(bytes);
        }
        if has_no_space(&result) && self.cut_blank_end(previous_end)? {
            result = create(bytes);
        }
        let smallest = (SEGMENT_HEADER_BYTES as usize + first.len() + MARK_BYTES).next_multiple_of(PAGE_BYTES) as u64;
        if has_no_space(&result) {
            tracing::warn!("the disk is full: nothing can be written until there is space");
            result = create(smallest);
        }
        if has_no_space(&result) {
            release_reserve();
            result = create(smallest);
        }
        result
    }

    /// Cuts the zeros off the end of the newest segment, but nothing before `end`. Returns whether there were any.
    fn cut_blank_end(&self, end: u32) -> io::Result<bool> {
        let Some(file) = self.newest() else { return Ok(false) };
        let length = file.length()?;
        let mut cut = length;
        while cut > u64::from(end) {
            let start = cut.saturating_sub(CHUNK_BYTES).max(end.into());
            let mut chunk = vec![0; (cut - start) as usize];
            let filled = read_full_at(&*file, &mut chunk, start)?;
            if let Some(last) = chunk[..filled].iter().rposition(|&byte| byte != 0) {
                cut = start + last as u64 + 1;
                break;
            }
            cut = start;
        }
        if cut < length {
            file.truncate(cut)?;
        }
        Ok(cut < length)
    }
}
