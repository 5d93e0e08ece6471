//! What start-up changes in the files, once everything was checked. Each repair can be repeated after a crash.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::files::AuditFiles;
use crate::audit::retention::remove_files;
use crate::audit::segment_header::SegmentHeader;
use crate::disk::{DiskFile, read_full_at};

/// A change to the files.
pub(in crate::audit) enum Repair {
    /// The removal of a segment that has a stub is completed.
    RemoveSegment(SegmentHeader),
    /// Everything from an offset on, which a crash has left incomplete, is moved into a file of its own.
    MoveTornEnd { header: SegmentHeader, file: Arc<dyn DiskFile>, offset: u64, bytes: u64 },
    /// A part of an index that another one replaces, or that is damaged, is removed.
    RemoveIndex(PathBuf),
}

impl Repair {
    /// Returns the number of bytes of a segment that are moved away.
    pub(in crate::audit) fn torn_bytes(&self) -> u64 {
        match self {
            Self::MoveTornEnd { bytes, .. } => *bytes,
            Self::RemoveSegment(_) | Self::RemoveIndex(_) => 0,
        }
    }

    /// Changes the files.
    pub(in crate::audit) fn apply(&self, files: &AuditFiles) -> io::Result<()> {
        match self {
            Self::RemoveSegment(header) => remove_files(files, header),
            Self::MoveTornEnd { header, file, offset, bytes } => {
                let mut torn = vec![0; usize::try_from(*bytes).map_err(io::Error::other)?];
                let filled = read_full_at(&**file, &mut torn, *offset)?;
                files.write_file(&files.torn(header.category, header.month, *offset), &torn[..filled])?;
                file.truncate(*offset)?;
                file.sync_data()
            }
            Self::RemoveIndex(path) => files.remove(path),
        }
    }
}
