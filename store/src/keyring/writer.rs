//! Every write of a slot, which goes to two files while a rotation runs.

use std::io;
use std::sync::Arc;

use super::Keyring;
use super::file::KeyringFile;
use super::slot::SLOT_BYTES;
use crate::disk::WriteFailed;
use crate::seal::Cipher;

/// Which files are written to.
pub(super) struct SlotWriter {
    pub(super) second: Option<SecondFile>,
}

/// The other file that writes of slots go to.
pub(super) enum SecondFile {
    /// The file that a rotation writes. If it cannot be written, the rotation is given up.
    Next(Arc<KeyringFile>),
    /// The file that was replaced, while it is not known whether the new name is durable: the next start may find either.
    Replaced(Arc<KeyringFile>),
}

/// Returns the bytes of slots under a ring key.
pub(super) type EncodeSlots<'a> = &'a dyn Fn(&Cipher) -> Vec<u8>;

impl SlotWriter {
    pub(super) fn new() -> Self {
        Self { second: None }
    }

    /// Gives a rotation up whose file cannot be written.
    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the rotation of the ring key is given up, since its file could not be written");
        self.second = None;
    }

    /// Whether `file` is the one that a rotation writes, and the rotation was not given up.
    pub(super) fn writes_next(&self, file: &Arc<KeyringFile>) -> bool {
        matches!(&self.second, Some(SecondFile::Next(next)) if Arc::ptr_eq(next, file))
    }
}

impl Keyring {
    /// Writes a slot. `encode` returns its bytes under a ring key, and is called for each file. Durable when it returns.
    ///
    /// # Errors
    /// It is not known whether the slot was written.
    pub(super) fn write_slot(&self, number: u32, encode: &dyn Fn(&Cipher) -> [u8; SLOT_BYTES]) -> io::Result<()> {
        self.write_slots(number, &|ring| encode(ring).to_vec()).map_err(|WriteFailed { source, .. }| source)
    }

    /// Writes slots from `first` on. `encode` returns their bytes under a ring key, and is called for each file. Durable when it
    /// returns.
    ///
    /// # Errors
    /// Unless `partial` is false, it is not known which of the slots were written.
    pub(super) fn write_slots(&self, first: u32, encode: EncodeSlots<'_>) -> Result<(), WriteFailed> {
        self.put_slots(first, encode)?;
        self.sync_slots().map_err(|source| WriteFailed { partial: true, source })
    }

    /// Writes slots as [`Self::write_slots`] does. They are durable once [`Self::sync_slots`] has returned.
    ///
    /// # Errors
    /// As [`Self::write_slots`].
    pub(super) fn put_slots(&self, first: u32, encode: EncodeSlots<'_>) -> Result<(), WriteFailed> {
        let mut writer = self.writer.lock();
        let current = self.current.load_full();
        current.write_slots(first, &encode(current.ring()))?;
        match &writer.second {
            None => Ok(()),
            Some(SecondFile::Replaced(other)) => other
                .write_slots(first, &encode(other.ring()))
                .map_err(|WriteFailed { source, .. }| WriteFailed { partial: true, source }),
            Some(SecondFile::Next(next)) => {
                if let Err(WriteFailed { source, .. }) = next.write_slots(first, &encode(next.ring())) {
                    writer.give_up(&source);
                }
                Ok(())
            }
        }
    }

    /// Makes all slots durable that were written.
    ///
    /// # Errors
    /// It is not known which of them are durable.
    pub(crate) fn sync_slots(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        let current = self.current.load_full();
        match &writer.second {
            None => {
                // A rotation that begins now reads what was written, and syncs its own file.
                drop(writer);
                current.sync()
            }
            Some(SecondFile::Replaced(other)) => current.sync().and_then(|()| other.sync()),
            Some(SecondFile::Next(next)) => {
                if let Err(error) = next.sync() {
                    writer.give_up(&error);
                }
                current.sync()
            }
        }
    }
}
