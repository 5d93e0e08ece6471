//! The sessions of each subject, so that a subject's sessions are found without reading those of all.

use std::collections::HashMap;

use domain::port::registry::{Registry, RegistryKind};

use super::sessions::StoredSession;

/// Number of further sessions after which a small index looks for those that the registry has removed.
const MIN_GROWTH: usize = 256;

/// The sessions of each subject, as the registry holds them.
#[derive(Default)]
pub(super) struct SessionIndex {
    by_subject: HashMap<String, Vec<IndexedSession>>,
    count: usize,
    /// The number of sessions at which the next one looks for those that the registry has removed.
    full_at: usize,
}

/// A session, and the key of its entry in the registry.
#[derive(Clone)]
pub(super) struct IndexedSession {
    pub(super) key: Vec<u8>,
    pub(super) stored: StoredSession,
}

impl SessionIndex {
    /// Adds a session. Those that the registry has removed are forgotten when the index has about doubled.
    pub(super) fn insert(&mut self, session: IndexedSession, registry: &dyn Registry) {
        self.by_subject.entry(session.stored.claims.sub.clone()).or_default().push(session);
        self.count += 1;
        if self.count < self.full_at.max(MIN_GROWTH) {
            return;
        }
        let is_kept = |session: &IndexedSession| registry.get(RegistryKind::SESSION, &session.key, i64::MIN).is_some();
        self.by_subject.retain(|_, sessions| {
            sessions.retain(is_kept);
            !sessions.is_empty()
        });
        self.count = self.by_subject.values().map(Vec::len).sum();
        self.full_at = 2 * self.count;
    }

    /// Removes a session.
    pub(super) fn remove(&mut self, session: &IndexedSession) {
        let Some(sessions) = self.by_subject.get_mut(&session.stored.claims.sub) else { return };
        let before = sessions.len();
        sessions.retain(|other| other.key != session.key);
        self.count -= before - sessions.len();
        if sessions.is_empty() {
            self.by_subject.remove(&session.stored.claims.sub);
        }
    }

    /// Returns the sessions of a subject, also those that have ended meanwhile.
    pub(super) fn of_subject(&self, subject: &str) -> &[IndexedSession] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of sessions.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count
    }
}
