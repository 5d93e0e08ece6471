//! Rotation of the master key and of the ring key on request, while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::{io, thread};

use config::{ConfigError, KeyProvider};
use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditValue};
use domain::port::clock::Clock;
use parking_lot::Mutex;
use store::{KeyAge, KeyManager, KeyRotationError, KeyStatus, RingRotation};

use crate::wiring;

/// The action of entries of the audit log about a rotation that has ended.
const ROTATED: &str = "keys.rotated";

/// A key that can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RotatedKey {
    /// The key at the root, which wraps the ring key.
    Master,
    /// The key that wraps the keys of citizens.
    Ring,
}

impl RotatedKey {
    /// Returns the name of the key.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Ring => "ring",
        }
    }
}

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    /// The master key cannot be read from where it is kept, or no new one can be made.
    #[error(transparent)]
    Provider(#[from] ConfigError),
    /// The keyring was not changed, or not completely.
    #[error(transparent)]
    Store(#[from] KeyRotationError),
    /// No thread could be started.
    #[error("cannot start a thread: {0}; check `ulimit`")]
    Thread(io::Error),
}

/// A rotation of the ring key that has ended.
#[derive(Debug, Clone)]
pub(crate) struct FinishedRotation {
    /// When it ended, in microseconds since the Unix epoch.
    pub(crate) ended_at: i64,
    /// What it has done, or why it did not.
    pub(crate) outcome: Result<RingRotation, String>,
}

/// Rotates the keys of the store.
pub(crate) struct KeyRotations {
    manager: KeyManager,
    provider: Box<dyn KeyProvider>,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    is_running: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    last: Mutex<Option<FinishedRotation>>,
}

impl KeyRotations {
    /// Returns what rotates the keys of `manager`. `clock` is the wall clock.
    pub(crate) fn new(
        manager: KeyManager,
        provider: Box<dyn KeyProvider>,
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let is_running = AtomicBool::new(false);
        Self { manager, provider, audit, clock, is_running, thread: Mutex::default(), last: Mutex::default() }
    }

    /// Returns the keys in use.
    pub(crate) fn status(&self) -> KeyStatus {
        self.manager.status()
    }

    /// Returns the last rotation of the ring key since the start that has ended.
    pub(crate) fn last(&self) -> Option<FinishedRotation> {
        self.last.lock().clone()
    }

    /// Wraps the ring key under the newest version of the master key. If none is newer than the one in use, a version is made where
    /// the provider keeps them, if it may. Blocks for some syncs of the disk.
    ///
    /// # Errors
    /// There is no newer version, or the keyring cannot be written.
    pub(crate) fn rotate_master(&self) -> Result<KeyAge, RotationError> {
        let rotated = self.replace_master();
        let version = rotated.as_ref().ok().map(|key| key.version);
        self.record(RotatedKey::Master, version);
        rotated
    }

    fn replace_master(&self) -> Result<KeyAge, RotationError> {
        let mut given = self.read_master()?;
        if given.newest() <= self.manager.status().master.version {
            self.provider.add(&mut wiring::randomness)?;
            given = self.read_master()?;
        }
        Ok(self.manager.rotate_master(&wiring::to_store(&given))?)
    }

    /// Starts a rotation of the ring key on a thread of its own.
    ///
    /// # Errors
    /// A rotation runs already, or the master key cannot be read.
    pub(crate) fn start_ring(self: &Arc<Self>) -> Result<(), RotationError> {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return Err(KeyRotationError::Busy.into());
        }
        let this = Arc::clone(self);
        let started = self.read_master().and_then(|given| {
            let master = wiring::to_store(&given);
            let work = move || {
                let rotated = this.manager.rotate_ring(&master);
                this.finish(rotated);
            };
            thread::Builder::new().name("key-rotation".to_owned()).spawn(work).map_err(RotationError::Thread)
        });
        match started {
            Ok(thread) => *self.thread.lock() = Some(thread),
            Err(error) => {
                self.is_running.store(false, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Interrupts a rotation that runs, and returns when its end is recorded. No other begins afterwards.
    pub(crate) fn stop(&self) {
        self.manager.stop();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in the thread was reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// Rotates the ring key, and returns when that is done.
    ///
    /// # Errors
    /// The master key cannot be read, or the keyring cannot be written.
    pub(crate) fn rotate_ring(&self) -> Result<RingRotation, RotationError> {
        let master = wiring::to_store(&self.read_master()?);
        let rotated = self.manager.rotate_ring(&master);
        self.record(RotatedKey::Ring, rotated.as_ref().ok().map(|rotation| rotation.number));
        Ok(rotated?)
    }

    fn finish(&self, rotated: Result<RingRotation, KeyRotationError>) {
        match &rotated {
            Ok(RingRotation { number, keys, damaged: 0 }) => {
                tracing::info!(number, keys, "the ring key was rotated");
            }
            Ok(RingRotation { number, keys, damaged }) => {
                tracing::warn!(
                    number,
                    keys,
                    damaged,
                    "the ring key was rotated, and damaged slots were copied as they are"
                );
            }
            Err(error) => tracing::error!(%error, "the ring key was not rotated"),
        }
        self.record(RotatedKey::Ring, rotated.as_ref().ok().map(|rotation| rotation.number));
        let outcome = rotated.map_err(|error| error.to_string());
        *self.last.lock() = Some(FinishedRotation { ended_at: self.clock.now_micros(), outcome });
        self.is_running.store(false, Ordering::Release);
    }

    /// Records how a rotation has ended; `version` is `None` if it has failed. The entry that a rotation needs was written before
    /// it, so a failure is logged and nothing more.
    fn record(&self, key: RotatedKey, version: Option<u32>) {
        let entry = AuditEntry::new(AuditCategory::Compliance, ROTATED, AuditActor::System);
        let entry = entry.with("key", AuditValue::Text(key.name().into()));
        let entry = match version {
            Some(version) => entry.with("version", AuditValue::Integer(version.into())),
            None => AuditEntry { decision: AuditDecision::Failed, ..entry },
        };
        if let Err(error) = self.audit.write_blocking(entry) {
            tracing::error!(%error, key = key.name(), "the end of a rotation of keys could not be recorded");
        }
    }

    fn read_master(&self) -> Result<config::MasterKeys, RotationError> {
        let given = self.provider.read()?;
        Ok(given.ok_or(ConfigError::NoNewMasterKey)?.0)
    }
}
