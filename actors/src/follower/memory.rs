//! What followers remember of users, and how they find out what they do not.

use std::sync::Arc;

use domain::access::Consent;
use domain::id::UserId;
use domain::past::PastProfile;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{Rewind, RewindResult};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// What an entry takes beside its values.
const OVERHEAD_BYTES: usize = 1024;

/// Users as they were at some revisions, the least recently used of which are forgotten.
pub(super) struct Memory {
    store: Arc<dyn ProfileStore>,
    known: Cache<(UserId, u64), Arc<Known>>,
}

/// A user at a revision.
pub(super) struct Known {
    pub(super) past: PastProfile,
    /// The consents of later revisions, up to that of frame `newest`, where they change.
    later: Vec<(u64, Consent)>,
    newest: u64,
}

impl Memory {
    pub(super) fn new(store: Arc<dyn ProfileStore>, bytes: u64) -> Self {
        let weigh = |_: &(UserId, u64), known: &Arc<Known>| {
            let values: usize = known.past.profile.leaves().map(|(_, value)| value.as_bytes().len() + 32).sum();
            let later = known.later.len() * size_of::<(u64, Consent)>();
            u32::try_from(values + later + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        // A step is asked for about once, right after it was remembered: how often the others were says nothing.
        let cache = Cache::builder().max_capacity(bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru());
        Self { store, known: cache.build() }
    }

    /// The user at `revision`; `None` where the store does not reach back to it.
    pub(super) fn at(&self, user: &UserId, revision: u64) -> Result<Option<Arc<Known>>, StoreError> {
        match self.known.get(&(*user, revision)) {
            Some(known) => Ok(Some(known)),
            None => self.load(user, revision),
        }
    }

    /// The consents that a user had after `revision`, up to frame `newest` at least, but for those that go on from
    /// `revision` itself. `before` is what is known of an earlier revision, as [`Self::at`] gave it.
    pub(super) fn later(
        &self,
        user: &UserId,
        revision: u64,
        newest: u64,
        before: Option<&Known>,
    ) -> Result<Later, StoreError> {
        if let Some(known) = before.filter(|known| known.newest >= newest) {
            return Ok(Later { consents: after(&known.later, revision), newest: known.newest });
        }
        let mut rewind = Rewind::with_later_consents(revision);
        let newest = self.store.load_history(user, revision, &mut rewind)?.ok_or_else(vanished)?;
        Ok(Later { consents: rewind.finish().later, newest })
    }

    pub(super) fn remember(&self, user: &UserId, past: PastProfile, later: Later) {
        let Later { consents, newest } = later;
        self.known.insert((*user, past.revision), Arc::new(Known { past, later: consents, newest }));
    }

    fn load(&self, user: &UserId, revision: u64) -> Result<Option<Arc<Known>>, StoreError> {
        let mut rewind = Rewind::with_later_consents(revision);
        let newest = self.store.load_history(user, revision, &mut rewind)?.ok_or_else(vanished)?;
        let RewindResult { past, later } = rewind.finish();
        Ok(past.map(|past| Arc::new(Known { past, later, newest })))
    }
}

/// The consents after a revision, as far as they are known.
pub(super) struct Later {
    consents: Vec<(u64, Consent)>,
    /// Up to which frame that is.
    newest: u64,
}

impl Later {
    /// Of a frame that is the newest: nothing came after it.
    pub(super) fn none(newest: u64) -> Self {
        Self { consents: Vec::new(), newest }
    }

    /// Nobody asked.
    pub(super) fn unknown() -> Self {
        Self { consents: Vec::new(), newest: 0 }
    }

    /// What all of them allow.
    pub(super) fn least(&self) -> Option<Consent> {
        self.consents.iter().map(|(_, consent)| *consent).reduce(Consent::least)
    }
}

/// Of a run of equal consents only the first is known. What goes on over a revision is the consent of that revision
/// itself, so nothing is lost for a reader who starts there.
fn after(consents: &[(u64, Consent)], revision: u64) -> Vec<(u64, Consent)> {
    consents.iter().filter(|(of, _)| *of > revision).copied().collect()
}

fn vanished() -> StoreError {
    StoreError::Damaged { what: "a frame's user is not in the store".to_owned() }
}
