//! Making a backup of an open store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::chain::{ChainMac, keyring_identity};
use super::chunk::{Chunk, FilePart, Totals};
use super::error::BackupError;
use super::files::{FileCopy, REGISTRY_NAME};
use super::header::{BackupHeader, ID_BYTES};
use crate::checkpoint::{Checkpointer, CutPoint};
use crate::engine::Engine;
use crate::registry::DurableRegistry;

/// Bytes of values in one chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of the registry in one chunk.
const REGISTRY_PART_BYTES: usize = 1 << 20;
/// Maximum time that one chunk waits for its rate, so that whoever reads it can give up.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackupOptions {
    /// Maximum number of bytes a second; `None` for no limit.
    pub bytes_per_second: Option<u64>,
    /// The time, in microseconds since the Unix epoch.
    pub now: i64,
}

/// Makes backups of an open store.
pub struct Backups {
    pub(super) engine: Arc<Engine>,
    checkpointer: Arc<Checkpointer>,
    pub(super) registry: Arc<DurableRegistry>,
    data_dir: PathBuf,
    /// Locked while the retention of a keyring backup is stored.
    pub(super) keyring_backups: Mutex<()>,
}

impl Backups {
    pub(crate) fn new(
        engine: Arc<Engine>,
        checkpointer: Arc<Checkpointer>,
        registry: Arc<DurableRegistry>,
        data_dir: PathBuf,
    ) -> Self {
        Self { engine, checkpointer, registry, data_dir, keyring_backups: Mutex::new(()) }
    }

    /// Begins a backup of everything that is durable now. Blocks for a checkpoint; appends are slowed down
    /// while its last users are folded, so that it comes to an end beside a busy writer.
    ///
    /// # Errors
    /// Another backup is running, or the checkpoint failed.
    pub fn begin(&self, options: BackupOptions) -> Result<Backup, BackupError> {
        let engine = &self.engine;
        // The registry is small. What it has of erasures fits the users of the same moment.
        let begun = self.checkpointer.cut(|point| {
            let registry = self.registry.copy();
            engine.sled.begin_snapshot().map(|()| (point, registry))
        })?;
        let (CutPoint { position, clock_minutes }, registry) = begun?;
        // From here on, dropping the backup ends the snapshot.
        let keys = engine.keyring.system_keys();
        let mut id = [0; ID_BYTES];
        engine.entropy.fill(&mut id);
        let header = BackupHeader {
            id,
            keyring: keyring_identity(&keys),
            epoch: engine.segments.epoch(),
            position,
            time: options.now,
            clock_minutes,
        };
        let mut backup = Backup {
            engine: Arc::clone(engine),
            id: u128::from_be_bytes(id),
            registry: Vec::new(),
            chain: ChainMac::for_backup(&keys, &id),
            data_dir: self.data_dir.clone(),
            stage: Stage::Header(header),
            has_snapshot: true,
            totals: Totals::default(),
            pace: RatePace { bytes_per_second: options.bytes_per_second, free_at: Instant::now() },
            estimate: 0,
        };
        backup.registry = registry.map_err(registry_failed)?;
        backup.estimate = engine.sled.bytes() + FileCopy::begin(&self.data_dir)?.bytes();
        Ok(backup)
    }
}

/// What a backup reads next.
enum Stage {
    Header(BackupHeader),
    Trees,
    ProjectionKey,
    Registry { bytes: Vec<u8>, at: usize },
    Files(FileCopy),
    End,
    Done,
}

/// A backup that is being made. It is read chunk by chunk; dropped, it ends.
pub struct Backup {
    engine: Arc<Engine>,
    id: u128,
    /// The bytes of the registry at the moment of the backup.
    registry: Vec<u8>,
    data_dir: PathBuf,
    chain: ChainMac,
    stage: Stage,
    has_snapshot: bool,
    totals: Totals,
    pace: RatePace,
    estimate: u64,
}

impl Backup {
    /// Returns the random id of the backup, which its header has, too.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// Returns about how many bytes the backup has at most: sled's log has outdated values, too.
    pub fn estimated_bytes(&self) -> u64 {
        self.estimate
    }

    /// Returns whether the trees were read, and files follow: the audit log as it is when they are.
    pub fn reads_files(&self) -> bool {
        !matches!(self.stage, Stage::Header(_) | Stage::Trees)
    }

    /// Returns the next bytes, some 256 KiB; `None` at the end. Blocks for the disk and the rate.
    ///
    /// # Errors
    /// The backup has ended early. What was read of it is of no use.
    pub fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        // An error leaves it ended.
        let bytes = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Header(header) => {
                self.stage = Stage::Trees;
                Some(header.encode(&mut self.chain))
            }
            stage => self.next_chunk(stage)?,
        };
        self.pace.pause(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// Ends the snapshot, unless that was done: then it may be that of the next backup.
    fn end_snapshot(&mut self) {
        if std::mem::take(&mut self.has_snapshot) {
            self.engine.sled.end_snapshot();
        }
    }

    fn next_chunk(&mut self, mut stage: Stage) -> Result<Option<Vec<u8>>, BackupError> {
        loop {
            let (chunk, next) = match stage {
                Stage::Header(_) | Stage::Done => return Ok(None),
                Stage::Trees => match self.engine.sled.next_of_snapshot(CHUNK_BYTES)? {
                    Some(values) => (Some(values).filter(|values| !values.is_empty()).map(Chunk::Values), Stage::Trees),
                    None => {
                        self.end_snapshot();
                        (None, Stage::ProjectionKey)
                    }
                },
                Stage::ProjectionKey => {
                    let failed =
                        |error: sled::Error| BackupError::Ended(format!("sled failed ({error}): make it again"));
                    let value = self.engine.sled.projection_key_value().map_err(failed)?;
                    let bytes = std::mem::take(&mut self.registry);
                    (value.map(Chunk::ProjectionKey), Stage::Registry { bytes, at: 0 })
                }
                Stage::Registry { bytes, at } if at < bytes.len() => {
                    let end = bytes.len().min(at + REGISTRY_PART_BYTES);
                    let part =
                        FilePart { name: REGISTRY_NAME.to_owned(), offset: at as u64, bytes: bytes[at..end].to_vec() };
                    (Some(Chunk::FilePart(part)), Stage::Registry { bytes, at: end })
                }
                Stage::Registry { .. } => (None, Stage::Files(FileCopy::begin(&self.data_dir)?)),
                Stage::Files(mut files) => match files.next()? {
                    Some(part) => (Some(Chunk::FilePart(part)), Stage::Files(files)),
                    None => (None, Stage::End),
                },
                Stage::End => (Some(Chunk::End(self.totals)), Stage::Done),
            };
            stage = next;
            if let Some(chunk) = chunk {
                self.stage = stage;
                self.totals.add(&chunk);
                return Ok(Some(chunk.encode(self.totals.chunks, &mut self.chain)));
            }
        }
    }
}

fn registry_failed(source: io::Error) -> BackupError {
    BackupError::File { name: REGISTRY_NAME.to_owned(), source }
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.end_snapshot();
    }
}

/// Holds a backup to its rate.
struct RatePace {
    bytes_per_second: Option<u64>,
    /// When what was read is paid for.
    free_at: Instant,
}

impl RatePace {
    fn pause(&mut self, bytes: usize) {
        thread::sleep(self.due(Instant::now(), bytes));
    }

    /// Returns how long to wait after some bytes were read. A reader that has stalled may not catch up afterwards.
    fn due(&mut self, now: Instant, bytes: usize) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        (self.free_at - now).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_keeps_its_rate_and_makes_up_for_no_stall() {
        let start = Instant::now();
        let seconds = Duration::from_secs_f64;
        let mut pace = RatePace { bytes_per_second: Some(1_000_000), free_at: start };
        assert_eq!(pace.due(start, 250_000), seconds(0.25));
        assert_eq!(pace.due(start + seconds(0.25), 500_000), seconds(0.5));
        assert_eq!(pace.due(start + seconds(0.5), 250_000), seconds(0.5), "it was asked too early");
        assert_eq!(pace.due(start + seconds(60.0), 250_000), seconds(0.25), "a minute was not used");
        assert_eq!(pace.due(start + seconds(60.0), 9_000_000), LONGEST_PAUSE);
        assert_eq!(pace.due(start + seconds(62.0), 0), LONGEST_PAUSE, "the rest is still to be waited for");
        let mut free = RatePace { bytes_per_second: None, free_at: start };
        assert_eq!(free.due(start, usize::MAX), Duration::ZERO);
    }
}
