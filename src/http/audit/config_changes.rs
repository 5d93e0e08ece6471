//! Records changes of what operators configure: the tables of access and of limits, and the key set.
//!
//! An entry names the file, the SHA-256 of its text before and after, and the effect. The registry keeps the digest that
//! was in force last, so a file that was changed while the server was stopped is recorded at its next start.

use std::collections::HashMap;
use std::sync::Arc;

use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditError, AuditLog, AuditValue};
use domain::port::registry::{Registry, RegistryEntry, RegistryKind};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

const CHANGE: &str = "config.change";

type FileDigest = [u8; 32];

/// Who has changed something.
#[derive(Debug, Clone)]
pub(crate) struct ChangeOrigin {
    actor: AuditActor,
    reason: Option<String>,
    request_id: Option<String>,
}

impl ChangeOrigin {
    /// Returns the origin of a change that the server finds by itself, in a file or at an address.
    pub(crate) const fn watcher() -> Self {
        Self { actor: AuditActor::System, reason: None, request_id: None }
    }

    /// Returns the origin of a change that is found because a caller has asked for it.
    pub(crate) const fn caller(actor: AuditActor, reason: Option<String>, request_id: Option<String>) -> Self {
        Self { actor, reason, request_id }
    }
}

/// Records changes of configuration.
pub(crate) struct ConfigChanges {
    log: Arc<dyn AuditLog>,
    registry: Arc<dyn Registry>,
    /// The digests of what is in force, by file.
    in_force: Mutex<HashMap<&'static str, FileDigest>>,
}

impl ConfigChanges {
    /// Returns the recorder of a server that starts.
    pub(crate) fn new(log: Arc<dyn AuditLog>, registry: Arc<dyn Registry>) -> Self {
        Self { log, registry, in_force: Mutex::default() }
    }

    /// Notes what is in force when the server starts. If something else was in force before, that is recorded.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) async fn begin(&self, file: &'static str, text: &[u8]) -> Result<(), AuditError> {
        let (after, before) = (digest(text), self.recorded(file));
        if before.is_some_and(|before| before != after) {
            let entry = entry(file, before, Some(after), "in_force_at_start", &ChangeOrigin::watcher());
            self.log.write(entry).await?;
        }
        if before == Some(after) {
            self.in_force.lock().insert(file, after);
        } else {
            self.keep(file, after).await;
        }
        Ok(())
    }

    /// Records a change before it takes effect; nothing if the text is in force already.
    ///
    /// # Errors
    /// The entry cannot be written. The change must not take effect.
    pub(crate) async fn announce(
        &self,
        file: &'static str,
        text: &[u8],
        origin: &ChangeOrigin,
    ) -> Result<(), AuditError> {
        let (after, before) = (digest(text), self.before(file));
        if before == Some(after) {
            return Ok(());
        }
        self.log.write(entry(file, before, Some(after), "in_force", origin)).await?;
        self.keep(file, after).await;
        Ok(())
    }

    /// Records a change that is refused, because the text is not valid or the file is gone, also if the request ends meanwhile
    /// that has found it. What was in force stays. A failure to record it is logged: nothing has changed.
    pub(crate) async fn refuse(&self, file: &'static str, text: Option<&[u8]>, origin: &ChangeOrigin) {
        let before = self.before(file);
        let after = text.map(digest).filter(|after| before != Some(*after));
        let refused = entry(file, before, after, "refused", origin);
        let refused = AuditEntry { decision: AuditDecision::Denied, ..refused };
        if let Err(error) = self.log.record(refused).await {
            tracing::error!(%error, file, "a refused change of the configuration could not be recorded");
        }
    }

    fn before(&self, file: &'static str) -> Option<FileDigest> {
        self.in_force.lock().get(file).copied()
    }

    /// Returns the digest that the registry keeps.
    fn recorded(&self, file: &'static str) -> Option<FileDigest> {
        let stored = self.registry.get(RegistryKind::CONFIGURATION, file.as_bytes(), 0)?;
        stored.value.as_slice().try_into().ok()
    }

    /// Keeps the digest of what is in force. If the registry does not store it, the next start records the change again.
    async fn keep(&self, file: &'static str, digest: FileDigest) {
        self.in_force.lock().insert(file, digest);
        let registry = Arc::clone(&self.registry);
        let put = move || {
            let value = RegistryEntry { value: digest.to_vec(), expires_at: None };
            registry.put(RegistryKind::CONFIGURATION, file.as_bytes(), value)
        };
        match tokio::task::spawn_blocking(put).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, file, "the digest of the configuration could not be stored"),
            Err(error) => tracing::error!(%error, file, "the digest of the configuration was not stored"),
        }
    }
}

fn entry(
    file: &'static str,
    before: Option<FileDigest>,
    after: Option<FileDigest>,
    effect: &'static str,
    origin: &ChangeOrigin,
) -> AuditEntry {
    let ChangeOrigin { actor, reason, request_id } = origin.clone();
    let entry = AuditEntry { reason, request_id, ..AuditEntry::new(AuditCategory::Compliance, CHANGE, actor) };
    let entry = entry.with("file", AuditValue::Text(file.into())).with("effect", AuditValue::Text(effect.into()));
    let digests = [("before", before), ("after", after)].into_iter();
    let known = digests.filter_map(|(name, digest)| Some((name, digest?)));
    known.fold(entry, |entry, (name, digest)| entry.with(name, AuditValue::Digest(digest)))
}

fn digest(text: &[u8]) -> FileDigest {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests;
