//! Copies of the keyring, and what a restored one needs: slots that are told apart, erasures that are applied again, and no
//! slot that is given out twice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::Keyring;
use super::file::read_header;
use super::header::{COPIES, COPY_BYTES, HeaderCopy};
use super::slot::{self, SLOT_BYTES};
use crate::SystemKeys;
use crate::audit::Erasure;
use crate::bytes::{crc_matches, u32_at};
use crate::disk::{DiskFile, open_read_only, read_full_at};
use crate::error::OpenError;
use crate::options::MasterKey;

/// Maximum number of bytes before the slots.
pub(crate) const KEYRING_HEADER_BYTES: usize = COPIES * COPY_BYTES;
/// Bytes that are copied at once: whole slots.
const PIECE_BYTES: usize = 64 << 10;
/// How many times a slot is read again that was being written.
const READ_ATTEMPTS: usize = 5;
const CRC_AT: usize = SLOT_BYTES - 4;
const GENERATION_AT: usize = 4;
const LIVE: u8 = 1;
const DESTROYED: u8 = 2;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotContent {
    /// A key of a generation.
    Live(u32),
    /// The key of a generation was destroyed.
    Destroyed(u32),
    /// Nothing: the keyring is older than the slot.
    Missing,
    /// Neither.
    Damaged,
}

impl SlotContent {
    /// Returns what the bytes of a slot say.
    pub(crate) fn from_bytes(bytes: &[u8; SLOT_BYTES]) -> Self {
        if bytes.iter().all(|byte| *byte == 0) {
            return Self::Missing;
        }
        let generation = u32_at(bytes, GENERATION_AT);
        match bytes[0] {
            _ if !crc_matches(bytes, CRC_AT) => Self::Damaged,
            LIVE => Self::Live(generation),
            DESTROYED => Self::Destroyed(generation),
            _ => Self::Damaged,
        }
    }
}

/// Copies a keyring that is in use, piece by piece.
pub(crate) struct KeyringCopy {
    file: Arc<dyn DiskFile>,
    /// The bytes before the slots, as they were at the beginning: when the ring key is rotated, those of the file are overwritten.
    header: Vec<u8>,
    at: u64,
    end: u64,
}

impl Keyring {
    /// Returns a copy of the keyring as it is from now on: a key that is destroyed meanwhile may be in it still. If the ring key is
    /// rotated meanwhile, the copy is of the file before.
    pub(crate) fn begin_copy(&self) -> io::Result<KeyringCopy> {
        // Locked, so that the file is not replaced while its header is read.
        let _writer = self.writer.lock();
        let current = self.current.load();
        let file = current.shared_file();
        let mut header = vec![0; current.slots_at() as usize];
        if read_full_at(&*file, &mut header, 0)? < header.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(KeyringCopy { header, at: 0, end: file.length()?, file })
    }

    /// Returns the number of slots of the file.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.current.load().slots().unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Returns what a slot holds.
    pub(crate) fn slot_content(&self, number: u32) -> io::Result<SlotContent> {
        for attempt in 0..READ_ATTEMPTS {
            let bytes = self.current.load().read_slot(number)?;
            let state = bytes.map_or(SlotContent::Missing, |bytes| SlotContent::from_bytes(&bytes));
            // It may be written just now.
            if state != SlotContent::Damaged || attempt + 1 == READ_ATTEMPTS {
                return Ok(state);
            }
        }
        Ok(SlotContent::Damaged)
    }

    /// Destroys again what an audit log says was destroyed. Returns how many keys that were. A slot that an older keyring does
    /// not have, or that is damaged, is marked as destroyed, too: its user was erased, and is not somebody whose key is lost.
    pub(crate) fn reapply(&self, erasures: impl Iterator<Item = Erasure>) -> io::Result<u64> {
        let mut applied = 0;
        for Erasure { slot, generation } in erasures {
            match self.slot_content(slot)? {
                SlotContent::Live(found) if found <= generation => {
                    self.destroy(slot, generation)?;
                    applied += 1;
                }
                SlotContent::Missing | SlotContent::Damaged => self.destroy(slot, generation)?,
                // A later life of the user, or destroyed already.
                SlotContent::Live(_) | SlotContent::Destroyed(_) => {}
            }
        }
        Ok(applied)
    }
}

impl KeyringCopy {
    /// Returns the number of bytes that are copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// Returns the next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = (self.end - self.at).min(PIECE_BYTES as u64) as usize;
        if length == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        if read_full_at(&*self.file, &mut bytes, self.at)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let first = (self.header.len() as u64).saturating_sub(self.at).min(length as u64) as usize;
        bytes[..first].copy_from_slice(&self.header[self.header.len() - first..]);
        for start in (first..length).step_by(SLOT_BYTES) {
            let Some(slot) = bytes[start..].first_chunk_mut::<SLOT_BYTES>() else { break };
            let mut attempts = 0;
            // A slot that is being written is read again; one that is damaged is copied as it is.
            while SlotContent::from_bytes(slot) == SlotContent::Damaged && attempts < READ_ATTEMPTS {
                read_full_at(&*self.file, slot, self.at + start as u64)?;
                attempts += 1;
            }
        }
        self.at += length as u64;
        Ok(Some(bytes))
    }
}

/// Returns the keys of records that belong to no user, from the first bytes of a keyring.
pub(crate) fn find_system_keys(header: &[u8], master: &MasterKey) -> Result<SystemKeys, OpenError> {
    Ok(SystemKeys::new(HeaderCopy::find(header)?.unwrap_keys(master)?.system_root))
}

/// Makes a keyring file long enough for a slot, so that slots that an older keyring does not have are never given out a
/// second time. Durable when it returns.
pub(crate) fn reserve_slots(path: &Path, last: u32) -> io::Result<()> {
    let header = read_header(&*open_read_only(path)?)?;
    let slots_at = HeaderCopy::find(&header).map_err(io::Error::other)?.slots_at();
    let file = File::options().read(true).write(true).open(path)?;
    let end = slots_at + slot::offset(last) + SLOT_BYTES as u64;
    let length = file.metadata()?.len();
    if length < end {
        // Zeros are no slot.
        file.write_all_at(&[0; SLOT_BYTES], end - SLOT_BYTES as u64)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::keyring::FILE_NAME;
    use crate::test_kit::TestEntropy;

    #[test]
    fn a_copy_that_began_before_a_rotation_opens() {
        let dir = tempfile::tempdir().expect("a directory");
        let (disk, master): (Arc<dyn Disk>, _) = (Arc::new(RealDisk), MasterKey::new(1, [7; 32]));
        Keyring::create(&disk, dir.path(), &master, 1, &TestEntropy::new(1)).expect("creates");
        let open =
            |name| Keyring::open_at(&disk, dir.path(), name, &master, Arc::new(TestEntropy::new(2))).expect("opens");
        let keyring = open(FILE_NAME);
        let slots = keyring.take(3000).expect("slots");
        let mut copy = keyring.begin_copy().expect("a copy");
        assert_eq!(keyring.replace_ring(&master, 2).expect("rotated").number, 2);
        let mut bytes = Vec::new();
        while let Some(piece) = copy.next().expect("reads") {
            bytes.extend(piece);
        }
        std::fs::write(dir.path().join("copy"), bytes).expect("written");
        for keyring in [keyring, open("copy")] {
            for slot in &slots {
                assert_eq!(keyring.data_key(slot.slot, 1).expect("a key").bytes(), slot.key.bytes());
            }
        }
    }
}
