//! Opening the store: lock, keyring, sled, journal, in this order.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Entropy;
use domain::port::erasure::{ErasureParticipant, UserDirectory};
use domain::port::journal::Journal;
use domain::port::log::EventLog;
use domain::port::memory::CommittedStates;
use domain::port::projection::{ProjectionSource, ProjectionStore};
use domain::port::registry::Registry;
use domain::port::store::{Fold, ProfileStore, StoreError};
use domain::port::table::TableFiles;

use crate::append::Appender;
use crate::backup::{Backups, check_finished};
use crate::checkpoint::{CheckpointError, CheckpointThread, Checkpointer};
use crate::checkpoint_trigger::CheckpointTrigger;
use crate::data_dir::{lock, make_directory};
use crate::dead_letters::DeadLetterStore;
use crate::engine::{Engine, EngineParts};
use crate::erasure::{KeyedUsers, finish_erasures};
use crate::error::OpenError;
use crate::first_start;
use crate::journal::{self, Index, OpenSegment, Position, Recovered, Segments};
use crate::journal_log::JournalLog;
use crate::key_manager::KeyManager;
use crate::keyring::{self, Keyring};
use crate::load::ProfileReader;
use crate::metric::Metrics;
use crate::options::{MasterKey, StoreOptions};
use crate::permissions;
use crate::projection::{self, ProjectionFile};
use crate::quarantine::Quarantine;
use crate::registry::DurableRegistry;
use crate::retention_clock::RetentionClock;
use crate::sled_store::{Meta, SledStore};
use crate::status::StoreStatus;
use crate::system_keys::SystemKeys;
use crate::table::EncryptedTables;
use crate::upkeep::Upkeep;

/// An open store: the parts that the server uses, and the handle that closes it.
pub struct Store {
    /// Appends records, on the commit thread.
    pub journal: Box<dyn Journal>,
    /// Reads users and their history, on the hydration threads.
    pub reader: Arc<dyn ProfileStore>,
    /// Reads the journal in its order, for followers.
    pub log: Arc<dyn EventLog>,
    /// Reads what projections are filled from.
    pub projections: Arc<dyn ProjectionStore>,
    /// Finds users without reading their data.
    pub users: Arc<dyn UserDirectory>,
    /// Destroys the keys of erased users.
    pub keys: Arc<dyn ErasureParticipant>,
    /// Keeps rejected events.
    pub dead_letters: Arc<DeadLetterStore>,
    /// Shows the users whose frames could not be folded, and lets them out.
    pub quarantine: Arc<Quarantine>,
    /// Keeps what belongs to no profile, such as revocations and sessions.
    pub registry: Arc<dyn Registry>,
    /// Keeps the tables that exports make.
    pub tables: Arc<dyn TableFiles>,
    /// Makes backups while the store is open.
    pub backups: Arc<Backups>,
    /// Derives the keys of what belongs to no user.
    pub system_keys: SystemKeys,
    /// The store's health.
    pub status: StoreStatus,
    /// Changes when a backup is restored. Part of every ETag and cursor.
    pub epoch: u64,
    /// Closes the store.
    pub closer: Closer,
}

/// Closes the store. Dropped without [`Closer::close`], the store ends as in a crash: nothing is lost, but the next start
/// takes longer.
pub struct Closer {
    checkpoints: CheckpointThread,
    stop_time: Duration,
    letters: Arc<DeadLetterStore>,
    upkeep: Upkeep,
    keys: KeyManager,
}

impl Closer {
    /// Returns what tells the ages of the store's keys, and rotates them.
    pub fn keys(&self) -> KeyManager {
        self.keys.clone()
    }

    /// Lets checkpoints take the states that memory holds, instead of replaying frames. Called once, when the live state has
    /// started: the store is opened before it.
    pub fn use_committed_states(&self, states: Arc<dyn CommittedStates>) {
        self.checkpoints.use_committed_states(states);
    }

    /// Lets checkpoints save a projection, so that the next start need not fill it from the states of all users. Called once.
    pub fn save_projection(&self, source: Arc<dyn ProjectionSource>) {
        self.checkpoints.save_projection(source);
    }

    /// Seals the saved projection under a new key and destroys the old one, as an erasure demands: once the projection in
    /// memory has forgotten the user, no stored byte of it opens any more. The projection is saved anew if it is complete.
    ///
    /// # Errors
    /// It is not known whether the old key was destroyed. It is destroyed at the next start.
    pub fn reseal_projection(&self) -> Result<(), StoreError> {
        self.checkpoints.reseal_projection()
    }

    /// Returns what reseals the projection while the closer is elsewhere.
    pub fn projection_resealer(&self) -> ProjectionResealer {
        ProjectionResealer(self.checkpoints.checkpointer())
    }

    /// Makes a checkpoint now, while the server runs, and waits for it.
    ///
    /// # Errors
    /// The checkpoint did not finish. The journal keeps the frames that it was to fold.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoints.checkpoint().map_err(not_folded)
    }

    /// Thins the histories of all users now, while the server runs, and waits for it. Otherwise that happens in the
    /// background.
    ///
    /// # Errors
    /// Sled could not be read or written. What was thinned by then stays so.
    pub fn thin_histories(&self) -> Result<(), StoreError> {
        self.checkpoints.thin_all().map_err(not_folded)
    }

    /// Ends the background threads and makes a last checkpoint, so that the next start is fast. Users for whom there is no
    /// time ([`StoreOptions::checkpoint_stop`]) stay in the journal, where the next start finds them, as after a crash.
    ///
    /// Call it when nothing is appended any more: later records are kept, too, but slow down the next start. The data
    /// directory stays locked until the other parts of the store are dropped.
    ///
    /// # Errors
    /// The checkpoint did not finish. The journal keeps the frames that it was to fold.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.keys.stop();
        self.letters.close();
        self.upkeep.stop();
        self.checkpoints.finish(self.stop_time).map_err(not_folded)
    }
}

/// Reseals the saved projection. Clones do the same.
#[derive(Clone)]
pub struct ProjectionResealer(Arc<Checkpointer>);

impl ProjectionResealer {
    /// Does what [`Closer::reseal_projection`] does.
    ///
    /// # Errors
    /// As there.
    pub fn reseal(&self) -> Result<(), StoreError> {
        self.0.reseal_projection()
    }
}

fn not_folded(error: CheckpointError) -> StoreError {
    match error {
        CheckpointError::Fold(error) => error,
        other => StoreError::Unavailable { doing: "making a checkpoint", source: Box::new(other) },
    }
}

/// Opens the store in the data directory, or creates one. Everything that was acknowledged before is there when it returns.
///
/// `master` unwraps the keyring, `fold` applies records to a user's state, and `entropy` is the source of keys and nonces.
///
/// # Errors
/// The reason and the remedy, in one line. No repair is made that would lose acknowledged data.
pub fn open(
    options: StoreOptions,
    master: &MasterKey,
    fold: Arc<dyn Fold>,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, OpenError> {
    let lock_file = Arc::new(lock(&options.data_dir)?);
    check_finished(&options.data_dir)?;
    let directory = options.data_dir.join(journal::DIRECTORY);
    journal::check_format(&*options.disk, &directory)?;
    let keyring = Arc::new(open_keyring(&options, master, &entropy)?);
    let keys = KeyManager::new(keyring.clone(), options.clock.clone(), lock_file.clone());
    let system_keys = keyring.system_keys();
    let registry = Arc::new(open_registry(&options, &directory, &system_keys, &entropy)?);
    first_start::prepare(&*options.disk, &options.data_dir, &keyring)?;
    let sled = SledStore::open(&options)?;
    let meta = open_meta(&sled, &options.data_dir, &*entropy)?;
    first_start::finish(&*options.disk, &options.data_dir)?;
    let (segments, index, open_segment) = open_journal(&options, &directory, &keyring, &sled, &meta)?;

    let checkpoint_trigger = Arc::new(CheckpointTrigger::new(options.checkpoint_journal_bytes));
    // Frames of earlier runs that no checkpoint has count as if they were appended now.
    let unfolded = segments.bytes_between(meta.checkpoint, open_segment.end);
    checkpoint_trigger.add_appended(unfolded.map_err(|source| unlistable(&directory, source))?);
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
        future_tolerance: i64::try_from(options.future_tolerance.as_micros()).unwrap_or(i64::MAX),
        lock_file,
    };
    let engine = Arc::new(Engine::new(parts, open_segment.end));
    engine.measure();
    finish_erasures(&engine).map_err(OpenError::Erasure)?;
    let projection = Arc::new(open_projection(&engine, &options, meta.checkpoint)?);
    let checkpointer = Arc::new(Checkpointer::new(engine.clone(), fold, projection.clone(), &options, meta.checkpoint));
    let quarantine = Arc::new(Quarantine::new(engine.clone(), checkpointer.clone(), registry.clone()));
    let no_thread = |source| OpenError::Disk { doing: "start a thread for", path: directory.clone(), source };
    let upkeep = Upkeep::start(engine.clone(), registry.clone(), options.segment_bytes).map_err(no_thread)?;
    let checkpoints = CheckpointThread::start(engine.clone(), checkpointer).map_err(no_thread)?;
    let letters = Arc::new(DeadLetterStore::start(engine.clone(), &options)?);
    let (checkpointer, data_dir) = (checkpoints.checkpointer(), options.data_dir.clone());
    let backups = Arc::new(Backups::new(engine.clone(), checkpointer, registry.clone(), data_dir));
    let tables = EncryptedTables::open(engine.clone(), options.disk.clone(), &options.data_dir)?;
    Ok(Store {
        journal: Box::new(Appender::new(engine.clone(), options.segment_bytes, open_segment)),
        reader: Arc::new(ProfileReader(engine.clone())),
        log: Arc::new(JournalLog(engine.clone())),
        projections: projection,
        users: Arc::new(KeyedUsers(engine.clone())),
        keys: Arc::new(KeyedUsers(engine.clone())),
        dead_letters: letters.clone(),
        quarantine,
        registry,
        tables: Arc::new(tables),
        backups,
        system_keys,
        status: engine.status.clone(),
        epoch: meta.epoch,
        closer: Closer { checkpoints, stop_time: options.checkpoint_stop, letters, upkeep, keys },
    })
}

/// Opens the registry. A new one is created only before there is a journal: without its revocations, tokens that were
/// revoked would be accepted again.
fn open_registry(
    options: &StoreOptions,
    journal: &Path,
    keys: &SystemKeys,
    entropy: &Arc<dyn Entropy>,
) -> Result<DurableRegistry, OpenError> {
    let StoreOptions { disk, data_dir, registry_kind_bytes, .. } = options;
    let (disk, keys, entropy) = (Arc::clone(disk), keys.clone(), Arc::clone(entropy));
    DurableRegistry::open(disk, data_dir, !journal.exists(), keys, entropy, *registry_kind_bytes)
}

/// Finishes what a crash may have interrupted of the projection's file.
fn open_projection(
    engine: &Arc<Engine>,
    options: &StoreOptions,
    checkpoint: Position,
) -> Result<ProjectionFile, OpenError> {
    let path = options.data_dir.join(projection::FILE_NAME);
    if path.exists() {
        permissions::restrict(&path)?;
    }
    let file = ProjectionFile::new(Arc::clone(engine), Arc::clone(&options.disk), path.clone(), checkpoint);
    let file = file.and_then(|file| file.finish_replacement().map(|()| file));
    file.map_err(|source| OpenError::Disk { doing: "open the columns in", path, source })
}

/// Opens or creates the journal, and recovers the frames that no checkpoint has into an index.
fn open_journal(
    options: &StoreOptions,
    directory: &Path,
    keyring: &Keyring,
    sled: &SledStore,
    meta: &Meta,
) -> Result<(Segments, Index, OpenSegment), OpenError> {
    let holds_data = sled.holds_data().map_err(|source| OpenError::Sled { doing: "read", source })?;
    let has_data = meta.checkpoint != Position::NONE || holds_data || keyring.has_slots();
    if has_data && !directory.exists() {
        return Err(OpenError::PartMissing { path: directory.to_owned() });
    }
    make_directory(directory)?;
    permissions::restrict(directory)?;
    let failed = |source| unlistable(directory, source);
    let numbers = Segments::list(&*options.disk, directory).map_err(failed)?;
    if numbers.is_empty() && has_data {
        let detail = "there are users, but no segment".to_owned();
        return Err(OpenError::Damaged { what: "the journal", detail });
    }
    let (disk, space) = (options.disk.clone(), sled.reserve().space_lock());
    let segments = Segments::new(disk, directory.to_owned(), meta.epoch, space).map_err(failed)?;
    // Segments that are too old are removed by the next checkpoint; until then they can be removed to free disk space.
    segments.set_folded(meta.checkpoint.segment);
    let index = Index::new();
    let release_reserve = || sled.reserve().release();
    let Recovered { open_segment, nothing_after_checkpoint } =
        journal::recover(&segments, &numbers, meta.checkpoint, options.segment_bytes, &index, &release_reserve)?;
    if let Some(first) = meta.first_unused_slot.filter(|_| nothing_after_checkpoint) {
        // Forgotten before a slot is used: of those that hold the key of a day or a file, no frame would tell the next start.
        let forgotten = sled.set_meta(&Meta { first_unused_slot: None, ..*meta });
        forgotten.map_err(|source| OpenError::Sled { doing: "write", source })?;
        keyring.adopt_from(first);
    }
    Ok((segments, index, open_segment))
}

fn unlistable(directory: &Path, source: io::Error) -> OpenError {
    OpenError::Disk { doing: "list the segments in", path: directory.to_owned(), source }
}

/// Opens the keyring. A new one is created only if there is no data: it is durable before anything is sealed.
fn open_keyring(options: &StoreOptions, master: &MasterKey, entropy: &Arc<dyn Entropy>) -> Result<Keyring, OpenError> {
    let (disk, data_dir) = (&options.disk, &options.data_dir);
    let path = data_dir.join(keyring::FILE_NAME);
    keyring::restore_name(disk, data_dir)?;
    if !path.exists() {
        if SledStore::exists(data_dir) || data_dir.join(journal::DIRECTORY).exists() {
            return Err(OpenError::KeyringMissing { path });
        }
        let now = options.clock.as_ref().map_or(0, |clock| clock.now_micros());
        Keyring::create(disk, data_dir, master, now, &**entropy)?;
    }
    permissions::restrict(&path)?;
    Keyring::open(disk, data_dir, master, entropy.clone())
}

fn open_meta(sled: &SledStore, data_dir: &Path, entropy: &dyn Entropy) -> Result<Meta, OpenError> {
    if let Some(meta) = sled.meta()? {
        return Ok(meta);
    }
    // The journal is created only after the meta record is durable.
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
