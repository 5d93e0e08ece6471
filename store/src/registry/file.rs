//! The registry's file: a header, records, and space for further records.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSREGIST"
//!      8       2  format, 1
//!     10       6  reserved, 0
//!     16      16  id of the file, which makes the key of its seals its own
//!     32       8  offset at which the records end that were written before the file got its name
//!     40      20  unused, 0
//!     60       4  CRC-32C of everything before
//! ```
//!
//! Records are appended one at a time, each with one write and one sync, so only the last one can be torn. A file that is
//! full, torn or not known to be durable is replaced as a whole by a new one, whose name appears when its content is durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::clock::Entropy;

use super::change::Change;
use super::record;
use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u64_at};
use crate::disk::{Disk, DiskDirectory, DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::error::OpenError;
use crate::seal::{Cipher, SecretKey};
use crate::system_keys::SystemKeys;

/// The file's name in the data directory.
const FILE_NAME: &str = "registry";
const NEW_FILE_NAME: &str = "registry.new";
const MAGIC: &[u8; 8] = b"PSREGIST";
const FORMAT: u16 = 1;
const WHAT: &str = "the registry";
const KEY_PURPOSE: &str = "profile-server: registry";

const HEADER_BYTES: usize = 64;
const FORMAT_AT: usize = 8;
const RESERVED: std::ops::Range<usize> = 10..16;
const ID_AT: usize = 16;
const ID_BYTES: usize = 16;
const COMPLETE_AT: usize = 32;
const CRC_AT: usize = HEADER_BYTES - 4;

/// Minimum number of bytes for further records in a new file. They are allocated, so that a full disk does not stop a
/// revocation.
const MIN_SPACE_BYTES: u64 = 1 << 20;

/// Creates the registry's files in a data directory.
pub(super) struct RegistryFiles {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    new_path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
    keys: SystemKeys,
    entropy: Arc<dyn Entropy>,
}

impl RegistryFiles {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        keys: SystemKeys,
        entropy: Arc<dyn Entropy>,
    ) -> io::Result<Self> {
        let directory = disk.directory(data_dir)?;
        Ok(Self { disk, path: path(data_dir), new_path: data_dir.join(NEW_FILE_NAME), directory, keys, entropy })
    }

    /// Replaces the file by a new one that holds `changes`. Durable when it returns.
    pub(super) fn replace(&self, changes: impl Iterator<Item = Change>) -> io::Result<RegistryFile> {
        self.prepare(changes).and_then(|new| self.take_place(new))
    }

    /// Makes a new file that holds `changes`, beside the one in use.
    pub(super) fn prepare(&self, changes: impl Iterator<Item = Change>) -> io::Result<RegistryFile> {
        let mut header = vec![0; HEADER_BYTES];
        put(&mut header, 0, MAGIC);
        put(&mut header, FORMAT_AT, &FORMAT.to_le_bytes());
        self.entropy.fill(&mut header[ID_AT..ID_AT + ID_BYTES]);
        let cipher = self.cipher(&header);
        let (mut bytes, mut next_number, mut body) = (vec![0; HEADER_BYTES], 1, Vec::new());
        let mut changes = changes.peekable();
        while let Some(change) = changes.next() {
            change.encode(&mut body);
            if body.len() >= record::FULL_RECORD_BYTES || changes.peek().is_none() {
                record::encode(&mut bytes, &cipher, &*self.entropy, next_number, &body);
                next_number += 1;
                body.clear();
            }
        }
        let end = bytes.len() as u64;
        put(&mut header, COMPLETE_AT, &end.to_le_bytes());
        put_crc(&mut header, CRC_AT);
        put(&mut bytes, 0, &header);

        let capacity = end + end.max(MIN_SPACE_BYTES);
        // A file whose sync has failed is not written again, so the new one is not the one of an earlier try.
        match self.disk.remove(&self.new_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.disk.create(&self.new_path)?;
        file.allocate(capacity)?;
        write_all_at(&*file, &bytes, 0).map_err(|WriteFailed { source, .. }| source)?;
        file.sync_data()?;
        Ok(RegistryFile { file, cipher, next_number, end, capacity, holds_removed_job: false })
    }

    /// Puts a new file in the place of the one in use. Durable when it returns.
    pub(super) fn take_place(&self, new: RegistryFile) -> io::Result<RegistryFile> {
        self.disk.rename(&self.new_path, &self.path)?;
        self.directory.sync()?;
        Ok(new)
    }

    /// Opens the file and passes its changes to `apply`, in order. `None` beside it means that the file is torn and has to be
    /// replaced before the next change.
    pub(super) fn open(&self, mut apply: impl FnMut(Change)) -> Result<Option<RegistryFile>, OpenError> {
        let failed = |source| OpenError::Disk { doing: "read the registry", path: self.path.clone(), source };
        let file = self.disk.open(&self.path).map_err(failed)?;
        let capacity = file.length().map_err(failed)?;
        let mut bytes = vec![0; usize::try_from(capacity).map_err(|_| damaged("it is too long"))?];
        let filled = read_full_at(&*file, &mut bytes, 0).map_err(failed)?;
        bytes.truncate(filled);
        let complete = check_header(&bytes)?;
        let cipher = self.cipher(&bytes);
        let (mut end, mut next_number) = (HEADER_BYTES, 1);
        while let Some(record) = record::split(&bytes[end..], next_number) {
            record::open(&cipher, record).map_err(damaged)?.into_iter().for_each(&mut apply);
            end += record.len();
            next_number += 1;
        }
        let rest = &bytes[end..];
        if (end as u64) < complete || record::is_followed(rest, next_number) {
            return Err(damaged(&format!("record {next_number} is not what was written")));
        }
        // A killed process may only have written the last record. Whoever reads it relies on it, so it must not be lost when the
        // power fails afterwards.
        file.sync_data().map_err(failed)?;
        let is_torn = rest.iter().any(|byte| *byte != 0);
        let (end, holds_removed_job) = (end as u64, false);
        Ok((!is_torn).then_some(RegistryFile { file, cipher, next_number, end, capacity, holds_removed_job }))
    }

    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// Returns the cipher of the file with a header.
    fn cipher(&self, header: &[u8]) -> Cipher {
        let id: [u8; ID_BYTES] = array_at(header, ID_AT);
        SecretKey::new(*self.keys.derive_salted(&id, KEY_PURPOSE)).cipher()
    }
}

/// Returns where the registry is in a data directory.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE_NAME)
}

/// Checks a header. Returns where the records end that were written before the file got its name.
fn check_header(bytes: &[u8]) -> Result<u64, OpenError> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return Err(damaged("its header is not that of a registry"));
    }
    let format = u16_at(bytes, FORMAT_AT);
    if format != FORMAT {
        return Err(OpenError::other_format(WHAT, format, FORMAT));
    }
    if !crc_matches(&bytes[..HEADER_BYTES], CRC_AT) {
        return Err(damaged("the checksum of its header is wrong"));
    }
    if bytes[RESERVED].iter().any(|byte| *byte != 0) {
        return Err(OpenError::NewerFormat { what: "a reserved field of the registry", found: 1, supported: 0 });
    }
    Ok(u64_at(bytes, COMPLETE_AT))
}

fn damaged(detail: &str) -> OpenError {
    OpenError::Damaged { what: WHAT, detail: detail.to_owned() }
}

/// The open file, to which records are appended.
pub(super) struct RegistryFile {
    file: Arc<dyn DiskFile>,
    cipher: Cipher,
    next_number: u64,
    /// Where the next record begins.
    end: u64,
    capacity: u64,
    /// It holds the job of an erasure that was removed later. Set by the owner.
    pub(super) holds_removed_job: bool,
}

impl RegistryFile {
    /// Reads the header and all records.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.end).map_err(io::Error::other)?];
        let filled = read_full_at(&*self.file, &mut bytes, 0)?;
        if filled == bytes.len() { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Appends a change. Returns whether there was room for it; it is durable then.
    ///
    /// # Errors
    /// It is unknown whether the change is durable. The file must be replaced.
    pub(super) fn append(&mut self, change: &Change, entropy: &dyn Entropy) -> io::Result<bool> {
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        change.encode(&mut body);
        record::encode(&mut bytes, &self.cipher, entropy, self.next_number, &body);
        let end = self.end + bytes.len() as u64;
        if end > self.capacity {
            return Ok(false);
        }
        write_all_at(&*self.file, &bytes, self.end).map_err(|WriteFailed { source, .. }| source)?;
        self.file.sync_data()?;
        self.end = end;
        self.next_number += 1;
        Ok(true)
    }
}
