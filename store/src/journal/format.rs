//! Checks the format of the journal before anything in the data directory is changed.

use std::fs;
use std::io;
use std::path::Path;

use super::segment_header::{SEGMENT_FORMAT, SegmentHeader, SegmentHeaderFault};
use crate::disk::Disk;
use crate::error::OpenError;

/// Refuses a journal with a segment of another format. Other faults of a segment are found when it is read.
pub(crate) fn check_format(disk: &dyn Disk, directory: &Path) -> Result<(), OpenError> {
    let found = find_other(disk, directory);
    let found = found.map_err(|source| OpenError::Disk { doing: "read", path: directory.to_owned(), source })?;
    found.map_or(Ok(()), |found| Err(other_format(found)))
}

/// Returns the error for a segment of another format.
pub(super) fn other_format(found: u16) -> OpenError {
    OpenError::other_format("a segment of the journal", found, SEGMENT_FORMAT)
}

fn find_other(disk: &dyn Disk, directory: &Path) -> io::Result<Option<u16>> {
    if !directory.exists() {
        return Ok(None);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "segment")
            && let Err(SegmentHeaderFault::Format(found)) = SegmentHeader::read(&*disk.open(&path)?)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
