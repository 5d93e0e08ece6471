//! The files of tables in the data directory.

use std::ffi::OsStr;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, mem};

use domain::port::table::{ColumnValues, TableError, TableFile, TableFiles, TableFormat, TableSchema, TableWriter};

use super::encoder::TableEncoder;
use crate::disk::{Disk, DiskDirectory};
use crate::engine::{Engine, KeyFault};
use crate::error::OpenError;
use crate::keyring::{FIRST_GENERATION, IssuedSlot};
use crate::permissions;
use crate::seal::{SecretKey, kind};
use crate::sealed_file::{SealedFile, SealedFileError, SealedFileHeader, SealedFileWriter};

/// The directory in the data directory.
const DIRECTORY_NAME: &str = "exports";
const NEW_EXTENSION: &str = "new";
/// Bytes of a table that are collected before they are sealed.
const BUFFER_BYTES: usize = 64 << 10;

/// The tables of a data directory.
pub(crate) struct EncryptedTables {
    engine: Arc<Engine>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
}

impl EncryptedTables {
    /// Opens the directory of the tables, or creates it. Files that were not completed are destroyed.
    pub(crate) fn open(engine: Arc<Engine>, disk: Arc<dyn Disk>, data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(DIRECTORY_NAME);
        let failed = |source| OpenError::Disk { doing: "open the directory", path: path.clone(), source };
        create_directory(&path).map_err(failed)?;
        permissions::restrict(&path)?;
        let open = || {
            disk.directory(data_dir)?.sync()?;
            let tables = Self { engine, directory: disk.directory(&path)?, disk, path: path.clone() };
            for unfinished in tables.files(|extension| extension == NEW_EXTENSION)? {
                tables.destroy(&unfinished)?;
            }
            Ok(tables)
        };
        open().map_err(failed)
    }

    /// Returns the files whose extension `wanted` accepts.
    fn files(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().and_then(OsStr::to_str).is_some_and(&wanted) {
                files.push(path);
            }
        }
        Ok(files)
    }

    /// Returns the path of the completed file of that name.
    fn find(&self, name: &str) -> io::Result<Option<PathBuf>> {
        let files = self.files(|extension| TableFormat::parse(extension).is_some())?;
        Ok(files.into_iter().find(|path| path.file_stem() == Some(OsStr::new(name))))
    }

    /// Destroys the key of a file, and then removes it.
    fn destroy(&self, path: &Path) -> io::Result<()> {
        let file = self.disk.open(path)?;
        // A file without a sound header has no content yet, or its key is not known: nobody can read it.
        if let Some(header) = SealedFileHeader::read(&*file)?.filter(|header| header.kind == kind::TABLE) {
            self.engine.keyring.destroy(header.slot, header.generation)?;
        }
        self.disk.remove(path)?;
        self.directory.sync()
    }
}

fn create_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl TableFiles for EncryptedTables {
    fn create(
        &self,
        name: &str,
        format: TableFormat,
        schema: &TableSchema,
    ) -> Result<Box<dyn TableWriter>, TableError> {
        let sound = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !sound {
            return Err(TableError::Schema("a name has letters, digits and underscores".to_owned()));
        }
        let path = self.path.join(format!("{name}.{}", format.name()));
        let new_path = path.with_added_extension(NEW_EXTENSION);
        let issued = self
            .engine
            .take_slots(1)
            .and_then(|mut slots| slots.pop().ok_or_else(|| io::Error::other("no slot was issued")));
        let IssuedSlot { slot, key } = issued.map_err(not_written)?;
        let header = SealedFileHeader { kind: kind::TABLE, slot, generation: FIRST_GENERATION };
        let (engine, disk, directory) = (self.engine.clone(), self.disk.clone(), self.directory.clone());
        // From here on, dropping the writer destroys the key and removes the file.
        let mut writer = EncryptedTableWriter { encoder: None, engine, disk, directory, slot, new_path, path };
        let file = self.disk.create(&writer.new_path).map_err(not_written)?;
        let sealed = SealedFileWriter::begin(file, key.cipher(), header).map_err(not_written)?;
        let sealed = BufWriter::with_capacity(BUFFER_BYTES, sealed);
        writer.encoder = Some(TableEncoder::begin(format, schema, sealed)?);
        Ok(Box::new(writer))
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn TableFile>>, TableError> {
        let Some(path) = self.find(name).map_err(not_read)? else { return Ok(None) };
        let file = self.disk.open(&path).map_err(not_read)?;
        let header = SealedFileHeader::read(&*file).map_err(not_read)?;
        let header = header.filter(|header| header.kind == kind::TABLE);
        let header = header.ok_or_else(|| TableError::Damaged("its header is not sound".to_owned()))?;
        // Without its key it is being removed just now, or a crash came between the end of the key and that of the file.
        let Some(key) = key(&self.engine, header)? else { return Ok(None) };
        let sealed = SealedFile::open(file, key.cipher(), header).map_err(sealed_error)?;
        Ok(Some(Arc::new(EncryptedTable { sealed, header, engine: self.engine.clone() })))
    }

    fn remove(&self, name: &str) -> Result<(), TableError> {
        match self.find(name).map_err(not_read)? {
            Some(path) => self.destroy(&path).map_err(|source| unavailable("removed", source)),
            None => Ok(()),
        }
    }

    fn names(&self) -> Result<Vec<String>, TableError> {
        let files = self.files(|extension| TableFormat::parse(extension).is_some()).map_err(not_read)?;
        let mut names: Vec<String> =
            files.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// Writes a table to its file, which gets its name when it is complete.
struct EncryptedTableWriter {
    /// `None` once it has failed or finished.
    encoder: Option<TableEncoder<BufWriter<SealedFileWriter>>>,
    engine: Arc<Engine>,
    disk: Arc<dyn Disk>,
    directory: Arc<dyn DiskDirectory>,
    /// Where the key of the file is.
    slot: u32,
    new_path: PathBuf,
    path: PathBuf,
}

impl TableWriter for EncryptedTableWriter {
    fn write(&mut self, columns: &[ColumnValues]) -> Result<(), TableError> {
        let mut encoder = self.encoder.take().ok_or_else(failed_before)?;
        encoder.write(columns)?;
        self.encoder = Some(encoder);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, TableError> {
        let encoder = self.encoder.take().ok_or_else(failed_before)?;
        let sealed = encoder.finish()?.into_inner().map_err(|error| not_written(error.into_error()))?;
        let length = sealed.finish().map_err(not_written)?;
        self.disk.rename(&self.new_path, &self.path).map_err(not_written)?;
        // Dropping the writer removes the file under this name: it has none any more.
        self.new_path = mem::take(&mut self.path);
        self.directory.sync().map_err(not_written)?;
        self.new_path = PathBuf::new();
        Ok(length)
    }
}

impl Drop for EncryptedTableWriter {
    fn drop(&mut self) {
        if self.new_path.as_os_str().is_empty() {
            return;
        }
        let destroyed = self.engine.keyring.destroy(self.slot, FIRST_GENERATION);
        let removed = destroyed.and_then(|()| match self.disk.remove(&self.new_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        if let Err(error) = removed {
            tracing::warn!("an unfinished table could not be removed, and will be at the next start: {error}");
        }
    }
}

/// A completed table, opened. The open file and its cipher in memory would outlive the removal of the table.
struct EncryptedTable {
    sealed: SealedFile,
    header: SealedFileHeader,
    engine: Arc<Engine>,
}

impl TableFile for EncryptedTable {
    fn length(&self) -> u64 {
        self.sealed.length()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, TableError> {
        let bytes = self.sealed.read(offset, length).map_err(sealed_error)?;
        // Looked up after the bytes were read: none of them leaves once the removal is acknowledged.
        key(&self.engine, self.header)?.map(|_| bytes).ok_or(TableError::Removed)
    }
}

/// Returns the key of a table; `None` if it was destroyed.
fn key(engine: &Engine, header: SealedFileHeader) -> Result<Option<SecretKey>, TableError> {
    match engine.user_key(header.slot, header.generation) {
        Ok(key) => Ok(Some(key)),
        Err(KeyFault::Erased) => Ok(None),
        Err(KeyFault::Store(error)) => Err(not_read(error)),
    }
}

fn failed_before() -> TableError {
    not_written(io::Error::other("an earlier batch failed"))
}

fn sealed_error(error: SealedFileError) -> TableError {
    match error {
        SealedFileError::Io(source) => not_read(source),
        SealedFileError::Damaged(detail) => TableError::Damaged(detail),
    }
}

fn not_read(source: impl std::error::Error + Send + Sync + 'static) -> TableError {
    unavailable("read", source)
}

fn not_written(source: io::Error) -> TableError {
    unavailable("written", source)
}

fn unavailable(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> TableError {
    TableError::Unavailable { doing, source: Box::new(source) }
}
