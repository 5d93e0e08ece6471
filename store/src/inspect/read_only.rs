//! A disk that is only read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskDirectory, DiskFile, open_read_only};

/// Opens files for reading, and refuses everything else.
pub(super) struct ReadOnlyDisk;

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnlyDisk {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        open_read_only(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn directory(&self, _: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        refused()
    }
}
