//! What all followers share: the journal, the profiles in memory, the key of the cursors and the limits.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::id::UserId;
use domain::port::log::{EventLog, LogError, NewestRecord};
use domain::rules::Rules;

use super::StartFrom;
use super::cursor::{CursorPosition, CursorScope, Cursors, Refusal};
use super::error::FollowError;
use super::horizon::Horizon;
use super::permits::FollowerPermits;
use super::profile_cache::ProfileCache;
use crate::cursor_cipher::CursorCipher;
use crate::metric::Metrics;
use crate::options::Options;
use crate::ports::Ports;

/// What all followers share.
pub(crate) struct Followers {
    pub(crate) horizon: Arc<Horizon>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) profiles: ProfileCache,
    pub(super) cursors: Cursors,
    pub(super) permits: FollowerPermits,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) rules: Arc<Rules>,
    pub(super) metrics: Metrics,
}

impl Followers {
    /// Returns the shared part for followers of `ports.log`. `cipher` seals their cursors.
    pub(crate) fn new(options: &Options, ports: &Ports, cipher: Arc<CursorCipher>, metrics: Metrics) -> Arc<Self> {
        let Ports { store, log, entropy, rules, policy, .. } = ports;
        Arc::new(Self {
            horizon: Arc::new(Horizon::new(Arc::clone(log))),
            log: Arc::clone(log),
            profiles: ProfileCache::new(Arc::clone(store), options.follower_cache_bytes),
            cursors: Cursors { epoch: options.epoch, cipher, entropy: Arc::clone(entropy) },
            permits: FollowerPermits::new(options.max_followers, options.max_followers_per_caller),
            policy: Arc::clone(policy),
            rules: Arc::clone(rules),
            metrics,
        })
    }

    /// Returns a user's newest record; `None` if there is none, or if it cannot be read. Blocks.
    pub(crate) fn newest(&self, user: &UserId) -> Option<NewestRecord> {
        self.log.newest(user).ok().filter(|newest| newest.sequence > 0)
    }

    /// Drops the profiles of a user from memory.
    pub(crate) fn forget(&self, user: &UserId) {
        self.profiles.forget(user);
    }

    /// Returns the position in the journal that a new follower starts at. Blocks.
    pub(super) fn start_position(&self, from: &StartFrom, scope: CursorScope) -> Result<CursorPosition, FollowError> {
        let began = self.log.end();
        let gone = |why, oldest| {
            let restart = CursorPosition { at: oldest, began };
            FollowError::Gone { why, oldest: self.cursors.write(restart, scope) }
        };
        let oldest = || self.log.oldest();
        let position = match from {
            StartFrom::Now => return Ok(CursorPosition { at: began, began }),
            StartFrom::Oldest => return Ok(CursorPosition { at: oldest(), began }),
            StartFrom::Cursor(cursor) => self.cursors.read(cursor, scope).map_err(|refusal| match refusal {
                Refusal::Malformed => FollowError::Malformed,
                Refusal::Epoch => {
                    gone("it belongs to another store, or to a time before a backup was restored", oldest())
                }
                Refusal::Scope => gone("it belongs to a caller with other scopes, or to another policy", oldest()),
            })?,
        };
        // Reads one frame to find out whether the journal still has this position.
        match self.log.read(position.at, began, 0) {
            Ok(_) => Ok(position),
            Err(LogError::Gone { oldest }) => Err(gone("the events after it are no longer kept", oldest)),
            Err(LogError::Nowhere) => Err(gone("the journal has no such position", oldest())),
            Err(LogError::Store(error)) => Err(error.into()),
        }
    }
}
