//! Makes one index of several, reading each of them once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use super::file::PostingReader;
use super::{IndexFile, IndexSummary, IndexWriter, Posting};

/// Postings after which a merge looks whether it is to stop.
const STOP_INTERVAL: u32 = 4_096;

/// Writes the postings of consecutive parts of a segment's index to `out`, and returns what they cover together; `None` if
/// `is_stopped` said that the merge is to end.
///
/// # Errors
/// A part could not be read, or is damaged, or `out` could not be written.
pub(in crate::audit) fn merge(
    parts: &[Arc<IndexFile>],
    out: &mut IndexWriter,
    is_stopped: impl Fn() -> bool,
) -> io::Result<Option<IndexSummary>> {
    let mut readers: Vec<PostingReader<'_>> = parts.iter().map(|part| part.read_all()).collect();
    let mut next: BinaryHeap<Reverse<(Posting, usize)>> = BinaryHeap::with_capacity(readers.len());
    for (number, reader) in readers.iter_mut().enumerate() {
        next.extend(reader.next()?.map(|posting| Reverse((posting, number))));
    }
    let mut count = 0_u32;
    while let Some(Reverse((posting, number))) = next.pop() {
        out.push(posting)?;
        next.extend(readers[number].next()?.map(|posting| Reverse((posting, number))));
        count = count.wrapping_add(1);
        if count.is_multiple_of(STOP_INTERVAL) && is_stopped() {
            return Ok(None);
        }
    }
    if readers.iter().any(|reader| !reader.is_intact()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a part of the index is damaged"));
    }
    Ok(parts.iter().map(|part| part.summary).reduce(|all, next| all.with(&next)))
}
