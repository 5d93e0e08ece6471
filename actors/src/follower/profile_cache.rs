//! The profiles that followers keep in memory, and how they load others from the store.

use std::sync::Arc;

use domain::access::Consent;
use domain::id::UserId;
use domain::past::PastProfile;
use domain::port::store::{LoadedUser, ProfileStore, StoreError};
use domain::record::Rewind;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// About the bytes of an entry besides its values.
const OVERHEAD_BYTES: usize = 1024;

/// Profiles at recent revisions, by user and revision; the least recently used are evicted.
pub(super) struct ProfileCache {
    store: Arc<dyn ProfileStore>,
    entries: Cache<(UserId, u64), Arc<CachedProfile>>,
}

/// A user's profile at one revision.
pub(super) struct CachedProfile {
    pub(super) past: PastProfile,
    /// The later consents by revision, up to that of frame `newest`. Only the first of equal ones in a row is kept.
    later: Vec<(u64, Consent)>,
    newest: u64,
}

impl ProfileCache {
    /// Returns an empty cache over `store` that holds about `bytes` bytes at most.
    pub(super) fn new(store: Arc<dyn ProfileStore>, bytes: u64) -> Self {
        let weigh = |_: &(UserId, u64), cached: &Arc<CachedProfile>| {
            let values: usize = cached.past.profile.leaves().map(|(_, value)| value.as_bytes().len() + 32).sum();
            let later = cached.later.len() * size_of::<(u64, Consent)>();
            u32::try_from(values + later + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        // LRU and not moka's default: an entry is read about once, soon after it was made, so its frequency says nothing.
        let cache = Cache::builder().max_capacity(bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru());
        Self { store, entries: cache.build() }
    }

    /// Returns the user's profile at `revision`; `None` if the store does not reach back to it.
    pub(super) fn at(&self, user: &UserId, revision: u64) -> Result<Option<Arc<CachedProfile>>, StoreError> {
        match self.entries.get(&(*user, revision)) {
            Some(cached) => Ok(Some(cached)),
            None => self.load(user, revision),
        }
    }

    /// Returns the consents that follow `revision`, at least up to frame `newest`, without that of `revision` itself.
    /// `before` is the profile at an earlier revision, as [`Self::at`] returned it.
    pub(super) fn later_consents(
        &self,
        user: &UserId,
        revision: u64,
        newest: u64,
        before: Option<&CachedProfile>,
    ) -> Result<LaterConsents, StoreError> {
        if let Some(cached) = before.filter(|cached| cached.newest >= newest) {
            return Ok(LaterConsents { consents: after(&cached.later, revision), newest: cached.newest });
        }
        let mut rewind = Rewind::with_later_consents(revision);
        let newest = newest_sequence(self.store.load_history(user, revision, &mut rewind)?)?;
        Ok(LaterConsents { consents: rewind.finish().later, newest })
    }

    /// Keeps a profile, with the consents that follow it.
    pub(super) fn insert(&self, user: &UserId, past: PastProfile, later: LaterConsents) {
        let LaterConsents { consents, newest } = later;
        self.entries.insert((*user, past.revision), Arc::new(CachedProfile { past, later: consents, newest }));
    }

    /// Drops the profiles of a user. Looks at all of them.
    pub(super) fn forget(&self, user: &UserId) {
        for (key, _) in self.entries.iter().filter(|(key, _)| key.0 == *user) {
            self.entries.invalidate(&*key);
        }
        // What was invalidated stays in memory until the cache does its work.
        self.entries.run_pending_tasks();
    }

    fn load(&self, user: &UserId, revision: u64) -> Result<Option<Arc<CachedProfile>>, StoreError> {
        let mut rewind = Rewind::with_later_consents(revision);
        let newest = newest_sequence(self.store.load_history(user, revision, &mut rewind)?)?;
        let rewound = rewind.finish();
        let past = rewound.past();
        Ok(past.map(|past| Arc::new(CachedProfile { past, later: rewound.later, newest })))
    }
}

/// The consents that follow a revision.
pub(super) struct LaterConsents {
    consents: Vec<(u64, Consent)>,
    /// The newest frame that they include.
    newest: u64,
}

impl LaterConsents {
    /// Returns those of the newest frame: there are none.
    pub(super) fn none(newest: u64) -> Self {
        Self { consents: Vec::new(), newest }
    }

    /// Returns those of a frame for which they were not read, as they make no difference to it.
    pub(super) fn not_read() -> Self {
        Self { consents: Vec::new(), newest: 0 }
    }

    /// Returns what all of them allow; `None` if there are none.
    pub(super) fn least(&self) -> Option<Consent> {
        self.consents.iter().map(|(_, consent)| *consent).reduce(Consent::least)
    }
}

/// Returns the consents that begin after `revision`. The one in force at `revision` is that revision's own, so a reader
/// who starts there loses nothing.
fn after(consents: &[(u64, Consent)], revision: u64) -> Vec<(u64, Consent)> {
    consents.iter().filter(|(of, _)| *of > revision).copied().collect()
}

/// Returns the sequence of a loaded user's newest frame.
fn newest_sequence(loaded: Option<LoadedUser>) -> Result<u64, StoreError> {
    match loaded {
        Some(LoadedUser::Living { sequence, .. }) => Ok(sequence),
        // The erasure came while a frame of the user was looked at.
        Some(LoadedUser::Erased { .. }) => Err(StoreError::Damaged { what: "a frame's user was erased".to_owned() }),
        None => Err(StoreError::Damaged { what: "a frame's user is not in the store".to_owned() }),
    }
}
