//! Followers: callers who read the journal continuously, as events masked for them (ADR 0006).
//!
//! A follower keeps no queue: it reads the next events when its client has taken the last ones. So each follower is as
//! slow as its client, and nobody waits for it.

mod batch;
mod cursor;
mod error;
mod followers;
mod horizon;
mod log_reader;
mod permits;
mod profile_cache;
mod skipped_users;

use std::sync::Arc;

use domain::access::Viewer;
use domain::port::log::LogPosition;
use domain::port::store::StoreError;
use domain::publication::PublishedEventTypes;
use tokio::sync::watch;

pub use batch::{EventBatch, MaskedEvent};
use cursor::{CursorPosition, CursorScope};
pub use error::{FollowEnd, FollowError};
pub(crate) use followers::Followers;
pub(crate) use horizon::HorizonMark;
use log_reader::LogReader;
use permits::FollowerPermit;
use skipped_users::SkippedUsers;

/// A caller's request to follow the journal.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The caller's name. The limit on followers of one caller counts by it.
    pub caller: String,
    /// What the caller may see.
    pub viewer: Viewer,
    /// The event types that the caller asks for.
    pub types: PublishedEventTypes,
    /// Where to start in the journal.
    pub from: StartFrom,
}

/// Where a follower starts in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFrom {
    /// After the newest frame.
    Now,
    /// At the oldest frame that is kept.
    Oldest,
    /// After the event or batch that came with this cursor.
    Cursor(String),
}

/// A caller's position in the journal, and the events from there on.
pub struct Follower {
    followers: Arc<Followers>,
    viewer: Viewer,
    types: PublishedEventTypes,
    policy_version: u32,
    position: CursorPosition,
    skipped: SkippedUsers,
    horizon: watch::Receiver<LogPosition>,
    _permit: FollowerPermit,
}

impl Follower {
    /// Starts a follower. The caller of this function must then put a mark into the commit queue: it tells the follower
    /// how far it may read.
    pub(crate) async fn start(followers: Arc<Followers>, follow: Follow) -> Result<Self, FollowError> {
        let Follow { caller, viewer, types, from } = follow;
        let permit = followers.permits.take(caller, followers.metrics.followers.clone())?;
        let policy_version = followers.policy.load().version;
        let scope = CursorScope::new(&viewer, policy_version);
        let position = {
            let followers = Arc::clone(&followers);
            run_blocking(move || followers.start_position(&from, scope)).await?
        };
        // Subscribed before the caller's mark: marks are made only while somebody watches.
        let horizon = followers.horizon.watch();
        let skipped = SkippedUsers::default();
        Ok(Self { followers, viewer, types, policy_version, position, skipped, horizon, _permit: permit })
    }

    /// Returns the cursor that continues after everything that was read.
    pub fn cursor(&self) -> String {
        self.followers.cursors.write(self.position, self.scope())
    }

    /// Waits until there is something to read. Cancel safe.
    pub async fn ready(&mut self) {
        let position = self.position.at;
        // The sender is shared with this follower: it is not gone.
        let _ = self.horizon.wait_for(|reached| *reached > position).await;
    }

    /// Returns whether the access table is still the one that the follower's cursors were made under.
    pub fn is_current(&self) -> bool {
        self.followers.policy.load().version == self.policy_version
    }

    /// Reads the next events, up to the horizon. The batch may be empty.
    ///
    /// # Errors
    /// Returns why nothing more will come. The client may start again from its last cursor.
    pub async fn read(&mut self) -> Result<EventBatch, FollowEnd> {
        let policy = self.followers.policy.load_full();
        if policy.version != self.policy_version {
            return Err(FollowEnd::Policy);
        }
        let up_to = *self.horizon.borrow_and_update();
        let (followers, viewer) = (Arc::clone(&self.followers), self.viewer.clone());
        let (types, scope, from) = (self.types, self.scope(), self.position);
        let mut skipped = std::mem::take(&mut self.skipped);
        let read = move || {
            let reader = LogReader { followers: &followers, policy: &policy, viewer: &viewer, types, scope };
            reader.read(from, up_to, &mut skipped).map(|read| (read, skipped))
        };
        let ((batch, next), skipped) = run_blocking(read).await?;
        self.position.at = next;
        self.skipped = skipped;
        Ok(batch)
    }

    fn scope(&self) -> CursorScope {
        CursorScope::new(&self.viewer, self.policy_version)
    }
}

/// Runs blocking work on tokio's blocking threads.
async fn run_blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Unavailable { doing: "following the journal", source: error.into() }.into()),
    }
}
