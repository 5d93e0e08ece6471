//! Rotation of the master key and of the ring key, while slots are read and written.
//!
//! A new ring key needs one sequential pass: each slot is wrapped again, in a second file. While the pass runs, writes of slots
//! go to both files ([`super::writer`]). A crash before the second file has the name of the first one leaves the first one in
//! use, and the next start removes the second.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use super::Keyring;
use super::file::{HeaderError, KeyringFile};
use super::header::HeaderInfo;
use super::slot::{self, Rewrapped, SLOT_BYTES};
use super::writer::{SecondFile, SlotWriter};
use crate::error::OpenError;
use crate::key_manager::KeyStatus;
use crate::options::{MasterKey, MasterKeyVersion};

/// Slots that are wrapped again in one go, while writes of slots wait: a few milliseconds.
const BATCH_SLOTS: usize = 1024;
/// Batches between two syncs, so that the last one is short.
const SYNC_BATCHES: u32 = 16;

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum KeyRotationError {
    /// One rotation runs at a time, and another one does.
    #[error("keys are being rotated already: wait until that has ended")]
    Busy,
    /// The store is being closed. The keys in use stay.
    #[error("the rotation was interrupted, and the keys before stay in use: rotate again after the next start")]
    Stopped,
    /// There is no newer version of the master key than the one in use.
    #[error("the keyring is wrapped with version {current} of the master key already: provide version {} first", current + 1)]
    NoNewerVersion {
        /// The version in use.
        current: u32,
    },
    /// The keyring cannot be read with the given master key.
    #[error(transparent)]
    Open(OpenError),
    /// A file could not be written, and the keys before stay in use.
    #[error("could not {doing} `{}` ({source}), and the keys before stay in use: check the disk, then rotate again", path.display())]
    Disk {
        /// What was being done: an imperative.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The new key is in use, but what it replaces is not removed yet.
    #[error(
        "the new key is in use, but what it replaces could not be removed from the disk ({source}): rotate again, or restart the server"
    )]
    Unfinished {
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A write of a slot to the new file has failed, and the keys before stay in use.
    #[error("the new keyring could not be written, and the keys before stay in use: check the disk, then rotate again")]
    GivenUp,
}

/// How far a rotation of the ring key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationProgress {
    /// Slots that are wrapped again.
    pub done: u64,
    /// Slots in all.
    pub total: u64,
}

/// What a rotation of the ring key has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingRotation {
    /// The number of the new ring key.
    pub number: u32,
    /// Data keys that were wrapped again.
    pub keys: u64,
    /// Slots that could not be read, and were copied as they are: a power cut may have torn them before they were used.
    pub damaged: u64,
}

/// The rotation that runs, if any.
#[derive(Default)]
pub(super) struct RotationState {
    running: Mutex<()>,
    stop: AtomicBool,
    done: AtomicU64,
    /// 0 while no pass runs.
    total: AtomicU64,
}

impl RotationState {
    /// Begins a rotation, which ends when the guard is dropped.
    fn begin(&self) -> Result<MutexGuard<'_, ()>, KeyRotationError> {
        let guard = self.running.try_lock().ok_or(KeyRotationError::Busy)?;
        if self.stop.load(Ordering::Relaxed) { Err(KeyRotationError::Stopped) } else { Ok(guard) }
    }
}

impl Keyring {
    fn header_info(&self) -> HeaderInfo {
        self.current.load().info()
    }

    /// Returns the keys in use, and how far a rotation is.
    pub(crate) fn key_status(&self) -> KeyStatus {
        let (done, total) = (&self.rotation.done, &self.rotation.total);
        let progress = RotationProgress { done: done.load(Ordering::Relaxed), total: total.load(Ordering::Relaxed) };
        KeyStatus { rotation: (progress.total > 0).then_some(progress), ..self.header_info().key_status() }
    }

    /// Interrupts a rotation that runs, waits until it has ended, and refuses further ones.
    pub(crate) fn stop_rotations(&self) {
        self.rotation.stop.store(true, Ordering::Relaxed);
        drop(self.rotation.running.lock());
    }

    /// Wraps the ring key under the newest version of the master key. Of a keyring of the first format, whose header cannot be
    /// replaced in place, the whole file is written anew, with a new ring key. Durable when it returns.
    pub(crate) fn replace_master(&self, master: &MasterKey, now: i64) -> Result<(), KeyRotationError> {
        let _running = self.rotation.begin()?;
        self.finish_replacement()?;
        let current = self.current.load_full();
        let is_interrupted = !current.is_header_everywhere();
        if is_interrupted {
            current.repair_header().map_err(|error| self.header_error(error))?;
        }
        let (newest, in_use) = (master.newest(), current.info().master_version);
        if newest.number() <= in_use {
            let is_done = is_interrupted && newest.number() == in_use;
            return if is_done { Ok(()) } else { Err(KeyRotationError::NoNewerVersion { current: in_use }) };
        }
        if !current.is_replaceable() {
            return self.replace_file(master, newest, now).map(drop);
        }
        current.replace_header(master, now, &*self.entropy).map_err(|error| self.header_error(error))
    }

    /// Wraps all slots under a new ring key. Slots are read and written meanwhile. Durable when it returns.
    pub(crate) fn replace_ring(&self, master: &MasterKey, now: i64) -> Result<RingRotation, KeyRotationError> {
        let _running = self.rotation.begin()?;
        self.finish_replacement()?;
        let wanted = self.header_info().master_version;
        let version = master.version(wanted).ok_or_else(|| KeyRotationError::Open(master.missing(wanted)))?;
        self.replace_file(master, version, now)
    }

    /// Finishes what an earlier rotation of this process has left.
    fn finish_replacement(&self) -> Result<(), KeyRotationError> {
        let mut writer = self.writer.lock();
        if let Some(SecondFile::Replaced(_)) = writer.second {
            self.directory.sync().map_err(|source| KeyRotationError::Unfinished { source })?;
            writer.second = None;
        }
        drop(writer);
        let number = self.header_info().ring_number;
        let cleared = self.directory.restore_name().and_then(|()| self.directory.remove_leftovers(number));
        cleared.map(drop).map_err(|source| self.disk_error("clear what an earlier rotation left beside", source))
    }

    /// Writes a second file under a new ring key, which `version` of the master key wraps, and puts it in place of the first.
    fn replace_file(
        &self,
        master: &MasterKey,
        version: &MasterKeyVersion,
        now: i64,
    ) -> Result<RingRotation, KeyRotationError> {
        let current = self.current.load_full();
        let keys = current.keys(master).map_err(|error| self.header_error(error))?;
        let keys = keys.with_fresh_ring_key(&*self.entropy);
        let before = current.info();
        let is_same_master = version.number() == before.master_version;
        let info = HeaderInfo {
            edition: before.edition + 1,
            master_version: version.number(),
            master_since: if is_same_master { before.master_since } else { now },
            ring_number: before.ring_number + 1,
            ring_since: now,
        };
        let path = self.directory.next();
        let failed = |source| KeyRotationError::Disk { doing: "write", path: path.clone(), source };
        let file = self.directory.disk.create(&path).map_err(failed)?;
        let next = KeyringFile::create(Arc::clone(&file), &keys, info, version, &*self.entropy);
        let result = next.map_err(failed).and_then(|next| self.fill_and_swap(&current, &Arc::new(next)));
        self.rotation.total.store(0, Ordering::Relaxed);
        if !Arc::ptr_eq(&self.current.load(), &current) {
            return result;
        }
        // The old file stays in use.
        let mut writer = self.writer.lock();
        if matches!(writer.second, Some(SecondFile::Next(_))) {
            writer.second = None;
        }
        drop(writer);
        if let Err(error) = self.directory.remove(&path, &*file).and_then(|()| self.directory.sync()) {
            tracing::warn!(%error, "the file of an interrupted rotation could not be removed: the next start removes it");
        }
        result
    }

    /// Lets writes of slots go to both files, copies all slots, and swaps the files.
    fn fill_and_swap(&self, from: &Arc<KeyringFile>, to: &Arc<KeyringFile>) -> Result<RingRotation, KeyRotationError> {
        self.writer.lock().second = Some(SecondFile::Next(Arc::clone(to)));
        let mut report = RingRotation { number: to.info().ring_number, keys: 0, damaged: 0 };
        let mut buffer = vec![0; BATCH_SLOTS * SLOT_BYTES];
        let mut done = 0;
        self.rotation.done.store(0, Ordering::Relaxed);
        for batch in 1.. {
            let start = Instant::now();
            let writer = self.writer.lock();
            if self.rotation.stop.load(Ordering::Relaxed) {
                return Err(KeyRotationError::Stopped);
            }
            if !writer.writes_next(to) {
                return Err(KeyRotationError::GivenUp);
            }
            let failed = |source| self.disk_error("wrap the slots again of", source);
            let count = from.read_slots(done, &mut buffer).map_err(failed)?;
            if count == 0 {
                self.swap(writer, from, to)?;
                return Ok(report);
            }
            let slots = rewrap(from, to, done, &buffer[..count * SLOT_BYTES], &mut report);
            to.write_slots(done, &slots).map_err(|error| failed(error.source))?;
            drop(writer);
            done += count as u32;
            self.rotation.done.store(u64::from(done), Ordering::Relaxed);
            self.rotation.total.store(from.slots().map_err(failed)?.max(1), Ordering::Relaxed);
            if batch % SYNC_BATCHES == 0 {
                to.sync().map_err(failed)?;
            }
            // Half of the time is left to those who write slots, and to requests.
            thread::sleep(start.elapsed());
        }
        Err(KeyRotationError::Stopped)
    }

    /// Puts a complete file in place of the one in use. Writes of slots wait meanwhile.
    fn swap(
        &self,
        mut writer: MutexGuard<'_, SlotWriter>,
        from: &Arc<KeyringFile>,
        to: &Arc<KeyringFile>,
    ) -> Result<(), KeyRotationError> {
        let directory = &self.directory;
        let disk = &directory.disk;
        let failed = |source| self.disk_error("replace", source);
        to.sync().map_err(failed)?;
        disk.rename(&directory.current(), &directory.replaced()).map_err(failed)?;
        let renamed = directory.sync().and_then(|()| disk.rename(&directory.next(), &directory.current()));
        if let Err(source) = renamed {
            // If this fails, too, the next start or rotation does it.
            if let Err(error) = directory.restore_name() {
                tracing::warn!(%error, "the keyring has lost its name, which the next start restores");
            }
            return Err(failed(source));
        }
        let named = directory.sync();
        self.current.store(Arc::clone(to));
        writer.second = named.is_err().then(|| SecondFile::Replaced(Arc::clone(from)));
        drop(writer);
        let removed = named.and_then(|()| directory.remove(&directory.replaced(), from.disk_file()));
        removed.and_then(|()| directory.sync()).map_err(|source| KeyRotationError::Unfinished { source })
    }

    fn disk_error(&self, doing: &'static str, source: io::Error) -> KeyRotationError {
        KeyRotationError::Disk { doing, path: self.directory.current(), source }
    }

    fn header_error(&self, error: HeaderError) -> KeyRotationError {
        match error {
            HeaderError::Open(error) => KeyRotationError::Open(error),
            HeaderError::Disk(source) => self.disk_error("read or write the header of", source),
        }
    }
}

/// Wraps slots from `first` on again, and counts them.
fn rewrap(from: &KeyringFile, to: &KeyringFile, first: u32, slots: &[u8], report: &mut RingRotation) -> Vec<u8> {
    let mut wrapped = Vec::with_capacity(slots.len());
    let (slots, _) = slots.as_chunks::<SLOT_BYTES>();
    for (number, bytes) in (first..).zip(slots) {
        match slot::rewrap(from.ring(), to.ring(), number, bytes) {
            Rewrapped::Key(bytes) => {
                report.keys += 1;
                wrapped.extend_from_slice(&bytes);
            }
            Rewrapped::Empty(bytes) => wrapped.extend_from_slice(&bytes),
            Rewrapped::Damaged(bytes) => {
                report.damaged += 1;
                wrapped.extend_from_slice(&bytes);
            }
        }
    }
    wrapped
}
