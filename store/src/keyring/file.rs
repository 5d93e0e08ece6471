//! A keyring file: its header, and the cipher of its slots.

use std::io;
use std::sync::Arc;

use domain::port::clock::Entropy;
use parking_lot::Mutex;

use super::header::{COPIES, COPY_BYTES, HeaderCopy, HeaderInfo, KeyringHeader};
use super::slot::{self, SLOT_BYTES};
use crate::disk::{DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::error::OpenError;
use crate::locked::Locked;
use crate::options::{MasterKey, MasterKeyVersion};
use crate::seal::Cipher;

/// An open keyring file.
pub(super) struct KeyringFile {
    file: Arc<dyn DiskFile>,
    slots_at: u64,
    /// Wraps the keys of the slots.
    ring: Locked<Cipher>,
    header: Mutex<HeaderState>,
}

/// What is known about the header of an open file.
#[derive(Clone, Copy)]
struct HeaderState {
    info: HeaderInfo,
    /// Whether all copies are the same.
    is_everywhere: bool,
    /// Whether the format has two copies.
    is_replaceable: bool,
}

/// Why the header of a file was not replaced.
pub(super) enum HeaderError {
    /// It cannot be read, or the master key does not open it.
    Open(OpenError),
    /// It could not be written.
    Disk(io::Error),
}

/// Returns the pages of the header of a file, or fewer bytes if it is shorter.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; COPIES * COPY_BYTES];
    let filled = read_full_at(file, &mut bytes, 0)?;
    bytes.truncate(filled);
    Ok(bytes)
}

impl KeyringFile {
    /// Opens a file whose header was read. Returns its keys, too.
    pub(super) fn open(
        file: Arc<dyn DiskFile>,
        header: &HeaderCopy<'_>,
        master: &MasterKey,
    ) -> Result<(Self, KeyringHeader), OpenError> {
        let keys = header.unwrap_keys(master)?;
        let (info, is_everywhere, is_replaceable) = (header.info(), header.is_everywhere, header.is_replaceable());
        let opened = Self {
            file,
            slots_at: header.slots_at(),
            ring: Locked::new(keys.ring_key.cipher()),
            header: Mutex::new(HeaderState { info, is_everywhere, is_replaceable }),
        };
        Ok((opened, keys))
    }

    /// Writes the header of an empty file.
    pub(super) fn create(
        file: Arc<dyn DiskFile>,
        keys: &KeyringHeader,
        info: HeaderInfo,
        master: &MasterKeyVersion,
        entropy: &dyn Entropy,
    ) -> io::Result<Self> {
        let header = keys.encode(&info, master, entropy).repeat(COPIES);
        write_all_at(&*file, &header, 0).map_err(|WriteFailed { source, .. }| source)?;
        let state = HeaderState { info, is_everywhere: true, is_replaceable: true };
        Ok(Self {
            file,
            slots_at: header.len() as u64,
            ring: Locked::new(keys.ring_key.cipher()),
            header: Mutex::new(state),
        })
    }

    /// Returns what the header says about its keys.
    pub(super) fn info(&self) -> HeaderInfo {
        self.header.lock().info
    }

    /// Whether the header can be replaced in place.
    pub(super) fn is_replaceable(&self) -> bool {
        self.header.lock().is_replaceable
    }

    /// Whether no copy of the header is one from before the last change.
    pub(super) fn is_header_everywhere(&self) -> bool {
        self.header.lock().is_everywhere
    }

    /// Returns the keys of the header.
    pub(super) fn keys(&self, master: &MasterKey) -> Result<KeyringHeader, HeaderError> {
        let bytes = read_header(&*self.file).map_err(HeaderError::Disk)?;
        HeaderCopy::find(&bytes).and_then(|copy| copy.unwrap_keys(master)).map_err(HeaderError::Open)
    }

    /// Wraps the ring key under the newest version of the master key. One copy of the header is durable before the other is
    /// touched, so that a crash leaves one that opens.
    pub(super) fn replace_header(
        &self,
        master: &MasterKey,
        now: i64,
        entropy: &dyn Entropy,
    ) -> Result<(), HeaderError> {
        let keys = self.keys(master)?;
        let mut header = self.header.lock();
        let newest = master.newest();
        let before = header.info;
        let info =
            HeaderInfo { edition: before.edition + 1, master_version: newest.number(), master_since: now, ..before };
        let bytes = keys.encode(&info, newest, entropy);
        // The edition is used up even if the write fails.
        header.info.edition = info.edition;
        header.is_everywhere = false;
        // The first copy is the last to change: where the copies differ, it may be the only one that was ever durable.
        for copy in (0..COPIES).rev() {
            self.write_copy(&bytes, copy).map_err(HeaderError::Disk)?;
            header.info = info;
        }
        header.is_everywhere = true;
        Ok(())
    }

    /// Writes the header that counts over an older copy, which an interrupted change has left, and then once more over
    /// itself: after a failed sync it may not be durable, although it can be read.
    pub(super) fn repair_header(&self) -> Result<(), HeaderError> {
        let bytes = read_header(&*self.file).map_err(HeaderError::Disk)?;
        let found = HeaderCopy::find(&bytes).map_err(HeaderError::Open)?;
        let is_found = |copy: &usize| bytes.chunks(COPY_BYTES).nth(*copy) == Some(found.bytes());
        let (same, others): (Vec<usize>, Vec<usize>) = (0..COPIES).partition(is_found);
        let mut header = self.header.lock();
        for copy in others.into_iter().chain(same) {
            self.write_copy(found.bytes(), copy).map_err(HeaderError::Disk)?;
        }
        header.info = found.info();
        header.is_everywhere = true;
        Ok(())
    }

    fn write_copy(&self, bytes: &[u8], copy: usize) -> io::Result<()> {
        let written = write_all_at(&*self.file, bytes, (copy * COPY_BYTES) as u64);
        written.map_err(|WriteFailed { source, .. }| source)?;
        self.file.sync_data()
    }

    /// Overwrites the header, without which no slot of the file opens any more, whatever is left of it on the disk.
    pub(super) fn wipe_header(file: &dyn DiskFile) -> io::Result<()> {
        let bytes = read_header(file)?;
        // Slots behind a shorter header may still be read.
        let header = HeaderCopy::find(&bytes).map_or(bytes.len(), |found| found.slots_at() as usize);
        write_all_at(file, &vec![0; header], 0).map_err(|WriteFailed { source, .. }| source)?;
        file.sync_data()
    }

    /// Returns the file on the disk, to be copied.
    pub(super) fn shared_file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Returns the offset of the first slot.
    pub(super) fn slots_at(&self) -> u64 {
        self.slots_at
    }

    /// Returns the file on the disk.
    pub(super) fn disk_file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// Returns the cipher that wraps the keys of the slots.
    pub(super) fn ring(&self) -> &Cipher {
        &self.ring
    }

    /// Reads a slot. Returns `None` if the file ends before it.
    pub(super) fn read_slot(&self, number: u32) -> io::Result<Option<[u8; SLOT_BYTES]>> {
        let mut bytes = [0; SLOT_BYTES];
        let filled = read_full_at(&*self.file, &mut bytes, self.offset(number))?;
        Ok((filled == SLOT_BYTES).then_some(bytes))
    }

    /// Reads slots from `first` on, as many as fit into `buffer` and are there. Returns their number.
    pub(super) fn read_slots(&self, first: u32, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(read_full_at(&*self.file, buffer, self.offset(first))? / SLOT_BYTES)
    }

    /// Writes slots from `first` on, without making them durable.
    pub(super) fn write_slots(&self, first: u32, bytes: &[u8]) -> Result<(), WriteFailed> {
        write_all_at(&*self.file, bytes, self.offset(first))
    }

    /// Makes all slots durable that were written.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns the number of slots that were ever written, the last one perhaps in part.
    pub(super) fn slots(&self) -> io::Result<u64> {
        Ok(self.file.length()?.saturating_sub(self.slots_at).div_ceil(SLOT_BYTES as u64))
    }

    /// Returns the length of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.file.length().unwrap_or(0)
    }

    fn offset(&self, number: u32) -> u64 {
        self.slots_at + slot::offset(number)
    }
}
