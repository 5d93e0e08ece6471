//! Start-up: lock, keyring, sled, journal, in this order.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use domain::port::clock::Entropy;
use domain::port::journal::Journal;
use domain::port::log::EventLog;
use domain::port::store::{Fold, ProfileStore, StoreError};

use crate::append::Appender;
use crate::checkpoint::{CheckpointError, CheckpointThread, Checkpointer};
use crate::checkpoint_trigger::CheckpointTrigger;
use crate::dead_letters::DeadLetterStore;
use crate::engine::{Engine, EngineParts};
use crate::error::OpenError;
use crate::first_start;
use crate::journal::{self, Index, Position, Recovered, Segments};
use crate::journal_log::JournalLog;
use crate::keyring::{self, Keyring};
use crate::load::ProfileReader;
use crate::metric::Metrics;
use crate::options::{MasterKey, StoreOptions};
use crate::permissions;
use crate::retention_clock::RetentionClock;
use crate::sled_store::{Meta, SledStore};
use crate::status::StoreStatus;
use crate::upkeep::Upkeep;

const LOCK_FILE_NAME: &str = "LOCK";
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// An open store: its ends, to be handed out, and the handle that closes it.
pub struct Store {
    /// The writing end, for the commit thread.
    pub journal: Box<dyn Journal>,
    /// The reading end, for the hydration threads, and history.
    pub reader: Arc<dyn ProfileStore>,
    /// The journal, for those who follow it.
    pub log: Arc<dyn EventLog>,
    /// Takes rejected events.
    pub dead_letters: Arc<DeadLetterStore>,
    /// Whether the store takes writes.
    pub status: StoreStatus,
    /// Changes when a backup is restored; part of every ETag and cursor.
    pub epoch: u64,
    /// Closes the store.
    pub closer: Closer,
}

/// Closes the store. Dropped without [`Closer::close`], it ends as in a crash: nothing is lost, but the next start
/// has more to do.
pub struct Closer {
    checkpoints: CheckpointThread,
    letters: Arc<DeadLetterStore>,
    upkeep: Upkeep,
}

impl Closer {
    /// Makes a checkpoint now, beside serving, and waits for it.
    ///
    /// # Errors
    /// The checkpoint did not finish. The journal keeps what it was to fold.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoints.checkpoint().map_err(not_folded)
    }

    /// Ends the background threads and makes a last checkpoint, so that the next start is quick.
    ///
    /// Call it when the journal takes no more groups: what is appended later is kept, too, but slows the next start.
    /// The data directory stays locked until the other ends are dropped as well.
    ///
    /// # Errors
    /// The checkpoint did not finish. The journal keeps what it was to fold.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.letters.close();
        self.upkeep.stop();
        self.checkpoints.finish().map_err(not_folded)
    }
}

fn not_folded(error: CheckpointError) -> StoreError {
    match error {
        CheckpointError::Fold(error) => error,
        other => StoreError::Unavailable { doing: "making a checkpoint", source: Box::new(other) },
    }
}

/// Opens the store, or makes one where there is none. Everything that was acknowledged is there when it returns.
///
/// # Errors
/// Says in one line why not, and what to do. Nothing is repaired that would lose acknowledged data.
pub fn open(
    options: StoreOptions,
    master: &MasterKey,
    fold: Arc<dyn Fold>,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, OpenError> {
    let lock = lock(&options.data_dir)?;
    let directory = options.data_dir.join(journal::DIRECTORY);
    journal::check_format(&*options.disk, &directory)?;
    let keyring = open_keyring(&options, master, &entropy)?;
    first_start::prepare(&*options.disk, &options.data_dir, &keyring)?;
    let sled = SledStore::open(&options)?;
    let meta = open_meta(&sled, &options.data_dir, &*entropy)?;
    first_start::finish(&*options.disk, &options.data_dir)?;

    let holds_data = sled.holds_data().map_err(|source| OpenError::Sled { doing: "read", source })?;
    let written = meta.checkpoint != Position::NONE || holds_data || keyring.has_slots();
    if written && !directory.exists() {
        return Err(OpenError::PartMissing { path: directory });
    }
    make_directory(&directory)?;
    permissions::restrict(&directory)?;
    let disk = options.disk.clone();
    let failed = |source| OpenError::Disk { doing: "list the segments in", path: directory.clone(), source };
    let numbers = Segments::list(&*disk, &directory).map_err(failed)?;
    if numbers.is_empty() && written {
        let detail = "there are users, but no segment".to_owned();
        return Err(OpenError::Damaged { what: "the journal", detail });
    }
    let segments = Segments::new(disk, directory.clone(), meta.epoch, sled.reserve().room()).map_err(failed)?;
    let index = Index::new();
    // The next checkpoint lets go of what is too old by then; until then there is room to be made.
    segments.set_folded(meta.checkpoint.segment);
    let release_reserve = || sled.reserve().release();
    let Recovered { tip, nothing_after_checkpoint } =
        journal::recover(&segments, &numbers, meta.checkpoint, options.segment_bytes, &index, &release_reserve)?;
    if let Some(first) = meta.first_unused_slot.filter(|_| nothing_after_checkpoint) {
        keyring.adopt_from(first);
    }

    let checkpoint_trigger = Arc::new(CheckpointTrigger::new(options.checkpoint_journal_bytes));
    // What the last run left to be folded counts as if it were appended now.
    checkpoint_trigger.appended(segments.bytes_between(meta.checkpoint, tip.end).map_err(failed)?);
    let metrics = Metrics::register();
    let new_clock =
        |wall| RetentionClock::new(wall, options.confirm_clock, meta.clock_minutes, metrics.clock_ahead.clone());
    let retention_clock = options.clock.clone().map(new_clock);
    let parts = EngineParts {
        keyring,
        segments,
        index,
        sled,
        entropy,
        checkpoint_trigger,
        metrics,
        retention_clock,
        lock_file: lock,
    };
    let engine = Arc::new(Engine::new(parts, tip.end));
    engine.measure();
    let checkpointer = Checkpointer::new(engine.clone(), fold, &options, meta.checkpoint);
    let no_thread = |source| OpenError::Disk { doing: "start a thread for", path: directory.clone(), source };
    let upkeep = Upkeep::start(engine.clone(), options.segment_bytes).map_err(no_thread)?;
    let checkpoints = CheckpointThread::start(engine.clone(), checkpointer).map_err(no_thread)?;
    let letters = Arc::new(DeadLetterStore::start(engine.clone(), &options)?);
    Ok(Store {
        journal: Box::new(Appender::new(engine.clone(), options.segment_bytes, tip)),
        reader: Arc::new(ProfileReader(engine.clone())),
        log: Arc::new(JournalLog(engine.clone())),
        dead_letters: letters.clone(),
        status: engine.status.clone(),
        epoch: meta.epoch,
        closer: Closer { checkpoints, letters, upkeep },
    })
}

/// Takes the data directory for this process, making it where it is missing.
fn lock(data_dir: &Path) -> Result<File, OpenError> {
    make_directory(data_dir)?;
    permissions::restrict_directory(data_dir)?;
    let path = data_dir.join(LOCK_FILE_NAME);
    let failed = |source| OpenError::Disk { doing: "lock", path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
    permissions::restrict(&path)?;
    // The one before may be just ending, and a process that it forks holds the lock until it executes its program.
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(OpenError::Locked { path: data_dir.to_owned() })
}

/// Makes a directory that only its owner may enter, and those above it, each durable in its parent.
fn make_directory(path: &Path) -> Result<(), OpenError> {
    fn make(path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make(parent)?;
        fs::DirBuilder::new().mode(0o700).create(path)?;
        File::open(parent)?.sync_all()
    }
    make(path).map_err(|source| OpenError::Disk { doing: "create the directory", path: path.to_owned(), source })
}

/// A new keyring is made only where nothing was ever sealed: it comes first, and is durable before anything else.
fn open_keyring(options: &StoreOptions, master: &MasterKey, entropy: &Arc<dyn Entropy>) -> Result<Keyring, OpenError> {
    let (disk, data_dir) = (&*options.disk, &options.data_dir);
    let path = data_dir.join(keyring::FILE_NAME);
    if !path.exists() {
        if SledStore::exists(data_dir) || data_dir.join(journal::DIRECTORY).exists() {
            return Err(OpenError::KeyringMissing { path });
        }
        Keyring::create(disk, data_dir, master, &**entropy)?;
    }
    permissions::restrict(&path)?;
    Keyring::open(disk, data_dir, master, entropy.clone())
}

fn open_meta(sled: &SledStore, data_dir: &Path, entropy: &dyn Entropy) -> Result<Meta, OpenError> {
    if let Some(meta) = sled.meta()? {
        return Ok(meta);
    }
    // The journal is only begun when the meta record is durable.
    let holds_data = sled.holds_data().map_err(|source| OpenError::Sled { doing: "read", source })?;
    if holds_data || data_dir.join(journal::DIRECTORY).exists() {
        let detail = "it is missing, but there is data".to_owned();
        return Err(OpenError::Damaged { what: "sled's meta record", detail });
    }
    let mut epoch = [0; 8];
    entropy.fill(&mut epoch);
    let epoch = u64::from_le_bytes(epoch);
    let meta = Meta { epoch, checkpoint: Position::NONE, first_unused_slot: None, clock_minutes: 0 };
    sled.set_meta(&meta).map_err(|source| OpenError::Sled { doing: "write", source })?;
    Ok(meta)
}
