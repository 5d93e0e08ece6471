//! The key set in use. It is read again from time to time, and when a token names a key that is not in it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::port::audit::AuditError;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::credential_version::CredentialVersion;
use super::key_set::{KeySet, KeySetError};
use super::key_source::{KeySource, KeySourceError};
use crate::http::audit::{ChangeOrigin, ConfigChanges};

/// Minimum time between two reads because of unknown keys: anyone can send a token that names one.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);

/// The name of the key set in the audit log.
const KEY_SET: &str = "key set";

/// The key set in use, and where it comes from.
pub(crate) struct KeyStore {
    source: Option<KeySource>,
    keys: ArcSwap<KeySet>,
    version: Arc<CredentialVersion>,
    /// Records changes of the key set; `None` in tests.
    changes: Option<Arc<ConfigChanges>>,
    /// What was read last, to find changes and to report a fault once.
    last: Mutex<LastRead>,
    /// Locked while the set is read and taken into use: of two reads at the same time the older could come last and bring
    /// back a key that was removed.
    reads: tokio::sync::Mutex<Reads>,
}

#[derive(Default)]
struct Reads {
    /// When the set was last read because of an unknown key.
    unknown_key_at: Option<Instant>,
}

#[derive(Default)]
struct LastRead {
    text: Vec<u8>,
    fault: Option<String>,
}

/// What becomes of a key set without a key that can be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptiness {
    /// It is an error. The server does not start with it.
    Refused,
    /// It is taken into use: whoever removes all keys wants their tokens refused.
    Accepted,
}

/// Why there is no key set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyStoreError {
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] KeySourceError),
    /// It cannot be used.
    #[error(transparent)]
    Set(#[from] KeySetError),
    /// The change cannot be recorded.
    #[error("the change of the key set could not be recorded: {0}")]
    NotRecorded(#[from] AuditError),
}

impl KeyStoreError {
    /// Whether the fault is on this machine, so that waiting does not help.
    pub(crate) const fn is_local(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_local())
    }
}

impl KeyStore {
    /// Returns a store without keys; [`Self::load`] reads them.
    pub(crate) fn new(source: Option<KeySource>, version: Arc<CredentialVersion>) -> Self {
        let (keys, last, reads) = (ArcSwap::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { source, keys, version, changes: None, last, reads }
    }

    /// Makes the store record changes of the key set.
    pub(crate) fn recording(self, changes: Arc<ConfigChanges>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// Reads the keys before the server starts. Blocks.
    ///
    /// # Errors
    /// They cannot be read or used, or there is none.
    pub(crate) fn load(&self) -> Result<(), KeyStoreError> {
        match &self.source {
            Some(source) => {
                let text = source.read()?;
                if let Some(keys) = self.parse(&text, Emptiness::Refused)? {
                    self.take(text, keys);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns the keys in use.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// Returns the ids and thumbprints (RFC 7638) of the keys in use.
    pub(crate) fn key_names(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.keys.load().names()
    }

    /// Whether tokens may be signed with keys of a set.
    pub(super) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Reads the keys again and again until its task is aborted.
    pub(crate) async fn run(&self) {
        let Some(source) = &self.source else { return std::future::pending().await };
        loop {
            tokio::time::sleep(source.interval()).await;
            self.refresh(&mut *self.reads.lock().await).await;
        }
    }

    /// Reads the keys again because a token names one that is unknown. Several requests share a read, and it is not
    /// repeated for a while.
    pub(super) async fn refresh_for_unknown_key(&self) {
        let mut reads = self.reads.lock().await;
        if reads.unknown_key_at.is_none_or(|at| at.elapsed() >= UNKNOWN_KEY_INTERVAL) {
            // Set before the read: a client that goes away during it must not cause the next one.
            reads.unknown_key_at = Some(Instant::now());
            self.refresh(&mut reads).await;
        }
    }

    /// Reads the keys again. If that fails, the keys in use stay, and the fault is logged once. The caller has locked
    /// `reads`, so one read at a time is taken into use.
    async fn refresh(&self, _reads: &mut Reads) {
        let Some(source) = self.source.clone() else { return };
        let Ok(read) = tokio::task::spawn_blocking(move || source.read()).await else { return };
        let text = match read {
            Ok(text) => text,
            Err(error) => {
                self.report(&error.into());
                return;
            }
        };
        match self.parse(&text, Emptiness::Accepted) {
            // The set in use can be read again: the next fault is a new one.
            Ok(None) => self.last.lock().fault = None,
            Ok(Some(keys)) => self.replace(text, keys).await,
            Err(error) => {
                if self.report(&error)
                    && let Some(changes) = &self.changes
                {
                    changes.refuse(KEY_SET, Some(&text), &ChangeOrigin::watcher()).await;
                }
            }
        }
    }

    /// Notes the key set that [`Self::load`] has read. If another one was in use before, that is recorded.
    pub(crate) async fn record_start(&self) {
        let text = self.last.lock().text.clone();
        if let Some(changes) = self.changes.as_ref().filter(|_| !text.is_empty())
            && let Err(error) = changes.begin(KEY_SET, &text).await
        {
            tracing::error!(%error, "a change of the key set before the start could not be recorded");
        }
    }

    /// Records a changed key set and takes it into use. If it cannot be recorded, the keys in use stay, and the next read
    /// tries again.
    async fn replace(&self, text: Vec<u8>, keys: KeySet) {
        if let Some(changes) = &self.changes
            && let Err(error) = changes.announce(KEY_SET, &text, &ChangeOrigin::watcher()).await
        {
            self.report(&error.into());
            return;
        }
        self.take(text, keys);
    }

    /// Logs why a key set is not taken into use. Returns whether the fault is a new one.
    fn report(&self, error: &KeyStoreError) -> bool {
        let fault = error.to_string();
        let is_new = self.last.lock().fault.replace(fault.clone()).is_none_or(|known| known != fault);
        if is_new {
            let cause: &dyn std::error::Error = error;
            tracing::error!(error = cause, "the key set is not valid: the keys in use are kept");
        }
        is_new
    }

    /// Parses a key set; `None` if it has not changed.
    fn parse(&self, text: &[u8], emptiness: Emptiness) -> Result<Option<KeySet>, KeyStoreError> {
        if self.last.lock().text == text {
            return Ok(None);
        }
        let keys = KeySet::parse(text)?;
        if keys.is_empty() {
            if emptiness == Emptiness::Refused {
                return Err(KeySetError::Empty.into());
            }
            tracing::error!("the key set has no key that can be used: tokens that need one are refused");
        }
        Ok(Some(keys))
    }

    /// Takes a key set into use.
    fn take(&self, text: Vec<u8>, keys: KeySet) {
        let before = self.keys.load_full();
        let removes_keys = !keys.contains_all(&before);
        self.keys.store(Arc::new(keys));
        *self.last.lock() = LastRead { text, fault: None };
        if removes_keys {
            tracing::info!("keys were removed from the key set: their tokens are no longer accepted");
            self.version.advance();
        }
    }
}

#[cfg(test)]
mod tests;
