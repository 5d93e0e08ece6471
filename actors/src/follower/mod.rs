//! Followers: callers who read the journal along, as events masked for them (ADR 0006).
//!
//! A follower keeps no queue: it reads on when its client has taken what it read before. So it is as slow as its
//! client, and nobody waits for it.

mod cursor;
mod horizon;
mod memory;
mod places;
mod reading;

use std::sync::Arc;

use domain::access::Viewer;
use domain::port::clock::Entropy;
use domain::port::log::{EventLog, LogError, LogPosition};
use domain::port::store::{ProfileStore, StoreError};
use domain::publication::{PublishedEventType, PublishedEventTypes};
use tokio::sync::watch;

use cursor::{Audience, Cursors, Refusal, Standing};
pub(crate) use horizon::{Horizon, Mark};
use memory::Memory;
use places::{Place, Places};
use reading::{Missed, Reading};

use crate::cursor_cipher::CursorCipher;
use crate::options::Options;
use crate::shared::Shared;

/// What one who wants to follow asks for.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Who it is: the bound on followers of one caller goes by it.
    pub caller: String,
    /// What it may see.
    pub viewer: Viewer,
    /// The events that it wants.
    pub types: PublishedEventTypes,
    /// Where it begins.
    pub from: From,
}

/// Where a follower begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// With what happens next.
    Now,
    /// With the oldest frame that is kept.
    Oldest,
    /// Behind what it has seen.
    Cursor(String),
}

/// Why nobody follows.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// What was given is no cursor.
    #[error("the cursor is malformed")]
    Malformed,
    /// The cursor cannot be continued.
    #[error("the cursor cannot be continued: {why}")]
    Gone {
        /// Why not, for the caller to read.
        why: &'static str,
        /// The oldest cursor that can.
        oldest: String,
    },
    /// The caller has as many followers as it may.
    #[error("the caller follows too many times")]
    TooMany,
    /// There are as many followers as there may be.
    #[error("too many callers follow")]
    Full,
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a follower is told nothing more.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The access table changed: cursors of the old one lead nowhere.
    #[error("the access table has changed")]
    Policy,
    /// Its client was so slow that the journal has let go of what comes next.
    #[error("the journal is not kept that far back any more")]
    Gone,
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event for one follower.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where to go on once it is taken care of.
    pub cursor: String,
    /// What it tells.
    pub kind: PublishedEventType,
    /// The CloudEvent, with the extension attribute `cursor`.
    pub text: String,
}

/// Some events in a row.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events, in the journal's order.
    pub events: Vec<Published>,
    /// Where to go on once they are all taken care of.
    pub cursor: String,
}

/// What all followers share.
pub(crate) struct Followers {
    pub(crate) horizon: Arc<Horizon>,
    log: Arc<dyn EventLog>,
    memory: Memory,
    cursors: Cursors,
    places: Places,
}

impl Followers {
    pub(crate) fn new(
        options: &Options,
        log: Arc<dyn EventLog>,
        store: Arc<dyn ProfileStore>,
        cipher: Arc<CursorCipher>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            horizon: Arc::new(Horizon::new(Arc::clone(&log))),
            log,
            memory: Memory::new(store, options.follower_cache_bytes),
            cursors: Cursors { epoch: options.epoch, cipher, entropy },
            places: Places::new(options.max_followers, options.max_followers_per_caller),
        }
    }

    fn standing(&self, from: &From, audience: Audience) -> Result<Standing, FollowError> {
        let began = self.log.end();
        let gone = |why, oldest| {
            let anew = Standing { position: oldest, began };
            FollowError::Gone { why, oldest: self.cursors.write(anew, audience) }
        };
        let oldest = || self.log.oldest();
        let standing = match from {
            From::Now => return Ok(Standing { position: began, began }),
            From::Oldest => return Ok(Standing { position: oldest(), began }),
            From::Cursor(cursor) => self.cursors.read(cursor, audience).map_err(|refusal| match refusal {
                Refusal::Malformed => FollowError::Malformed,
                Refusal::Epoch => gone("it is of another store, or of before a backup was restored", oldest()),
                Refusal::Audience => {
                    gone("it was given to a caller with another sight, or under another policy", oldest())
                }
            })?,
        };
        // One frame is read to see whether there is such a place.
        match self.log.read(standing.position, began, 0) {
            Ok(_) => Ok(standing),
            Err(LogError::Gone { oldest }) => Err(gone("what came after it is not kept any more", oldest)),
            Err(LogError::Nowhere) => Err(gone("the journal has no such place", oldest())),
            Err(LogError::Store(error)) => Err(error.into()),
        }
    }
}

/// One who follows.
pub struct Follower {
    shared: Arc<Shared>,
    _place: Place,
    viewer: Viewer,
    types: PublishedEventTypes,
    policy_version: u32,
    standing: Standing,
    missed: Missed,
    horizon: watch::Receiver<LogPosition>,
}

impl Follower {
    pub(crate) async fn start(shared: Arc<Shared>, follow: Follow) -> Result<Self, FollowError> {
        let Follow { caller, viewer, types, from } = follow;
        let followers = &shared.followers;
        let place = followers.places.enter(caller, shared.metrics.followers.clone())?;
        let policy_version = shared.policy.load().version;
        let audience = Audience::new(&viewer, policy_version);
        let standing = {
            let shared = Arc::clone(&shared);
            blocking(move || shared.followers.standing(&from, audience)).await?
        };
        // Marks are made while somebody watches; what was committed before is behind this one.
        let horizon = followers.horizon.watch();
        shared.commits.mark();
        Ok(Self { shared, _place: place, viewer, types, policy_version, standing, missed: Missed::default(), horizon })
    }

    /// Where it stands.
    pub fn cursor(&self) -> String {
        self.shared.followers.cursors.write(self.standing, self.audience())
    }

    /// Waits until there is something to read. May be given up and called again.
    pub async fn ready(&mut self) {
        let position = self.standing.position;
        // The sender is shared with this follower: it is not gone.
        let _ = self.horizon.wait_for(|reached| *reached > position).await;
    }

    /// Whether the access table is the one that its cursors are of.
    pub fn is_current(&self) -> bool {
        self.shared.policy.load().version == self.policy_version
    }

    /// Reads on, as far as reads of profiles show by now. What it returns may be empty.
    ///
    /// # Errors
    /// Why nothing more will come. The client goes on from its cursor.
    pub async fn read(&mut self) -> Result<Batch, Ended> {
        let policy = self.shared.policy.load_full();
        if policy.version != self.policy_version {
            return Err(Ended::Policy);
        }
        let up_to = *self.horizon.borrow_and_update();
        let (shared, viewer, types, from) = (Arc::clone(&self.shared), self.viewer.clone(), self.types, self.standing);
        let audience = self.audience();
        let mut missed = std::mem::take(&mut self.missed);
        let read = move || {
            let reading = Reading { shared: &shared, policy: &policy, viewer: &viewer, types, audience };
            reading.read(from, up_to, &mut missed).map(|read| (read, missed))
        };
        let ((batch, next), missed) = blocking(read).await?;
        self.standing.position = next;
        self.missed = missed;
        Ok(batch)
    }

    fn audience(&self) -> Audience {
        Audience::new(&self.viewer, self.policy_version)
    }
}

/// Does blocking work elsewhere.
async fn blocking<T: Send + 'static, E: std::convert::From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Unavailable { doing: "following the journal", source: error.into() }.into()),
    }
}
