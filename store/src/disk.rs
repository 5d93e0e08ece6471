//! The access of journal, keyring and reserve to the disk, behind traits, so that tests can make it fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Creates, opens, renames and removes files.
pub trait Disk: Send + Sync {
    /// Creates an empty file that only its owner may read, or empties the existing one.
    ///
    /// # Errors
    /// The file system's own.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// The file system's own.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, replacing an existing one.
    ///
    /// # Errors
    /// The file system's own.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The file system's own.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Opens a directory. It is kept open, so that making its names durable needs no new descriptor.
    ///
    /// # Errors
    /// The file system's own.
    fn directory(&self, path: &Path) -> io::Result<Arc<dyn DiskDirectory>>;
}

/// An open directory.
pub trait DiskDirectory: Send + Sync {
    /// Makes the names in the directory durable. Without it, a new file can be lost in a power cut.
    ///
    /// # Errors
    /// The file system's own.
    fn sync(&self) -> io::Result<()>;
}

/// An open file. Offsets are explicit, so that threads share it without a lock.
pub trait DiskFile: Send + Sync {
    /// Reads at most `buffer.len()` bytes and returns how many.
    ///
    /// # Errors
    /// The file system's own.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at most `bytes.len()` bytes and returns how many.
    ///
    /// # Errors
    /// The file system's own; then nothing was written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable. Must not be repeated after an error: Linux marks the pages that it could not write as
    /// clean, and the next sync succeeds without writing them.
    ///
    /// # Errors
    /// The file system's own. It is then unknown which of the writes since the last sync are durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Allocates disk space for the first `bytes` bytes, so that later writes there do not fail on a full disk.
    ///
    /// # Errors
    /// The file system's own.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts the file to `bytes` bytes.
    ///
    /// # Errors
    /// The file system's own.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Returns the file's length in bytes.
    ///
    /// # Errors
    /// The file system's own.
    fn length(&self) -> io::Result<u64>;

    /// Returns when the file was last written to, in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// The file system's own.
    fn written_at(&self) -> io::Result<i64>;
}

/// A write that did not finish.
#[derive(Debug)]
pub(crate) struct WriteFailed {
    /// Whether some of the bytes may be in the file.
    pub(crate) partial: bool,
    pub(crate) source: io::Error,
}

/// Writes all of `bytes`.
pub(crate) fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> Result<(), WriteFailed> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return Err(WriteFailed { partial: written > 0, source: io::ErrorKind::WriteZero.into() }),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(WriteFailed { partial: written > 0, source }),
        }
    }
    Ok(())
}

/// Reads until `buffer` is full or the file ends, and returns the number of bytes.
pub(crate) fn read_full_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Returns whether an error is a lack of disk space, which may be temporary.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns whether an error is a lack of disk space or descriptors, which may be temporary.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    is_full(error) || Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::MFILE | Errno::NFILE))
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn directory(&self, path: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(RealDirectory(File::open(path)?)))
    }
}

/// Opens a file that is only read, on a file system that may be read-only.
pub(crate) fn open_read_only(path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    Ok(Arc::new(RealFile(File::open(path)?)))
}

struct RealDirectory(File);

impl DiskDirectory for RealDirectory {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            // The file system cannot preallocate, so a later write may still find the disk full.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(bytes),
            other => Ok(other?),
        }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn written_at(&self) -> io::Result<i64> {
        let since = self.0.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
