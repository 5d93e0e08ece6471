//! Writing the saved projection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use domain::port::log::LogPosition;
use domain::port::projection::{ProjectionSource, ProjectionStore, SavedProjection, UserScan};
use domain::port::store::StoreError;
use parking_lot::Mutex;

use super::header::{HEADER_BYTES, Header, PIECE_HEADER_BYTES};
use super::key;
use super::saved::SavedFile;
use super::scan::StoreScan;
use crate::bytes::put;
use crate::disk::{Disk, DiskDirectory, DiskFile, WriteFailed, write_all_at};
use crate::engine::Engine;
use crate::journal::Position;
use crate::seal::{Cipher, NONCE_BYTES, TAG_BYTES};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "columns";
/// Its name while it is written.
const NEW_EXTENSION: &str = "new";
/// Bytes that are written before the next sync, so that the journal's own syncs do not wait for all of them.
const SYNC_BYTES: u64 = 4 << 20;
/// The pause after each piece, unless the checkpoint hurries.
const PAUSE: Duration = Duration::from_millis(2);

/// The saved projection of a data directory.
pub(crate) struct ProjectionFile {
    engine: Arc<Engine>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
    /// The position of the last checkpoint when the store was opened.
    checkpoint: Position,
    /// The position of the file that this process has written. Locked while it writes, and while the key is replaced.
    written: Mutex<Option<Position>>,
}

/// How fast the file is written.
#[derive(Clone, Copy)]
pub(crate) struct SavePace<'a> {
    /// Whether to write without pauses.
    pub(crate) hurry: &'a dyn Fn() -> bool,
    /// Whether there is no time left to write.
    pub(crate) is_late: &'a dyn Fn() -> bool,
}

impl ProjectionFile {
    /// Returns the file at `path`. Frames from `checkpoint` on are in the journal's index.
    pub(crate) fn new(
        engine: Arc<Engine>,
        disk: Arc<dyn Disk>,
        path: PathBuf,
        checkpoint: Position,
    ) -> io::Result<Self> {
        let directory = disk.directory(path.parent().unwrap_or(&path))?;
        Ok(Self { engine, disk, path, directory, checkpoint, written: Mutex::new(None) })
    }

    /// Destroys the key of an earlier file, if a crash has interrupted that.
    pub(crate) fn finish_replacement(&self) -> io::Result<()> {
        key::finish_replacement(&self.engine)
    }

    /// Writes the file, unless one is there that has everything up to `folded`. It is skipped if the projection is not
    /// complete.
    pub(crate) fn save(
        &self,
        source: &dyn ProjectionSource,
        folded: Position,
        pace: SavePace<'_>,
    ) -> Result<(), StoreError> {
        let mut written = self.written.lock();
        if written.is_some_and(|written| written >= folded) {
            return Ok(());
        }
        let Some(LogPosition(position)) = source.settle() else { return Ok(()) };
        let position = Position::from_u64(position);
        if position < folded {
            return Ok(());
        }
        let new_path = self.path.with_extension(NEW_EXTENSION);
        let result = self.write(source, position, pace);
        match &result {
            Ok(bytes) => {
                *written = Some(position);
                self.engine.metrics.columns_bytes.set(*bytes as f64);
            }
            // Its space may be needed.
            Err(_) => drop(self.disk.remove(&new_path)),
        }
        result.map(drop)
    }

    /// Makes the file unreadable for ever: its key is destroyed. The next one has a new key.
    pub(crate) fn replace_key(&self) -> Result<(), StoreError> {
        let mut written = self.written.lock();
        key::replace(&self.engine)?;
        *written = None;
        // It cannot be read any more, so it does not matter whether it is gone.
        let _ = self.disk.remove(&self.path);
        Ok(())
    }

    /// Writes a file, and returns its length.
    fn write(&self, source: &dyn ProjectionSource, position: Position, pace: SavePace<'_>) -> Result<u64, StoreError> {
        let engine = &*self.engine;
        let (slot, cipher) = key::get_or_make(engine)?;
        let header = Header { epoch: engine.segments.epoch(), position, layout: source.layout(), slot, pieces: 0 };
        let new_path = self.path.with_extension(NEW_EXTENSION);
        let file = self.disk.create(&new_path).map_err(failed)?;
        let mut writer = PieceWriter { engine, file: &*file, cipher, header, end: HEADER_BYTES as u64, synced: 0 };
        source.pieces(&mut |piece| {
            if (pace.is_late)() {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            writer.write(&piece)?;
            if !(pace.hurry)() {
                thread::sleep(PAUSE);
            }
            Ok(())
        })?;
        let PieceWriter { header, end, .. } = writer;
        let finish = || {
            write_all_at(&*file, &header.encode(), 0).map_err(|WriteFailed { source, .. }| source)?;
            file.sync_data()?;
            // The name appears only when the content is durable.
            self.disk.rename(&new_path, &self.path)?;
            self.directory.sync()
        };
        finish().map_err(failed)?;
        Ok(end)
    }
}

impl ProjectionStore for ProjectionFile {
    fn saved(&self, layout: u32) -> Option<Box<dyn SavedProjection>> {
        if !self.path.exists() {
            return None;
        }
        match SavedFile::open(&self.engine, &*self.disk, &self.path) {
            Ok(Some(file)) if file.header().layout == layout && file.header().position >= self.checkpoint => {
                Some(Box::new(file))
            }
            Ok(_) => {
                tracing::info!("the saved columns do not belong to the last checkpoint, or to this release");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the saved columns cannot be read");
                None
            }
        }
    }

    fn scan(&self, since: Option<LogPosition>) -> Result<Box<dyn UserScan>, StoreError> {
        Ok(Box::new(StoreScan::new(Arc::clone(&self.engine), since.map(|since| Position::from_u64(since.0)))?))
    }
}

/// Writes pieces one behind the other.
struct PieceWriter<'a> {
    engine: &'a Engine,
    file: &'a dyn DiskFile,
    cipher: Cipher,
    header: Header,
    end: u64,
    /// How far the file was synced.
    synced: u64,
}

impl PieceWriter<'_> {
    fn write(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        self.engine.entropy.fill(&mut nonce);
        let length = u32::try_from(content.len()).map_err(|_| failed(io::ErrorKind::FileTooLarge.into()))?;
        let mut bytes = Vec::with_capacity(PIECE_HEADER_BYTES + content.len() + TAG_BYTES);
        bytes.resize(PIECE_HEADER_BYTES, 0);
        put(&mut bytes, 0, &length.to_le_bytes());
        put(&mut bytes, 4, &nonce);
        bytes.extend_from_slice(content);
        self.cipher.seal(&nonce, self.header.label(self.header.pieces), &mut bytes, PIECE_HEADER_BYTES);
        write_all_at(self.file, &bytes, self.end).map_err(|WriteFailed { source, .. }| failed(source))?;
        self.end += bytes.len() as u64;
        self.header.pieces += 1;
        if self.end - self.synced >= SYNC_BYTES {
            self.file.sync_data().map_err(failed)?;
            self.synced = self.end;
        }
        Ok(())
    }
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Unavailable { doing: "writing the columns", source: source.into() }
}
