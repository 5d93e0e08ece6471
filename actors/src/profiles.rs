//! The handle to the live state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use domain::access::{Policy, Viewer};
use domain::erasure::ErasureReason;
use domain::event::{FeedEvent, RegisterWrite};
use domain::id::UserId;
use domain::past::PastProfile;
use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::memory::CommittedStates;
use domain::port::projection::ProjectionSource;
use domain::schema_version::SchemaVersion;
use domain::snapshot::{SnapshotId, SnapshotTrigger};
use tokio::sync::oneshot;

use crate::assemble::assemble;
use crate::columns::ColumnStore;
use crate::columns_to_save::ColumnsToSave;
use crate::erasure::{EraseError, LiveMemory};
use crate::error::{Busy, ReadError, WriteError};
use crate::follower::{Follow, FollowError, Follower};
use crate::history::{Difference, HistoryFault, HistoryPoint, RevisionPage};
use crate::load_queue::GetPast;
use crate::options::Options;
use crate::outlet::OutletSender;
use crate::ports::Ports;
use crate::priority::Share;
use crate::reading::{ReadProvenance, Reading, View, ViewWithProvenance};
use crate::reply::{Reply, Status};
use crate::request::{
    ApplyFeedEvent, CursorPast, Request, Subscribe, SubscribeOutcome, Subscription, UserCounters, WriteConsent,
};
use crate::running::Running;
use crate::runtime::{Observe, Runtime};
use crate::shard_event::ShardEvent;
use crate::snapshots::{PastView, SnapshotError, SnapshotPage, SnapshotPosition};
use crate::warm_states::WarmStates;

/// The live state of all users. Clones share it.
#[derive(Clone)]
pub struct Profiles {
    runtime: Arc<Runtime>,
    running: Arc<Running>,
}

/// Counters of the live state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Users with an actor: hot users, and those with live subscriptions.
    pub live_actors: usize,
    /// Those of them whose state is unpacked.
    pub unpacked_actors: usize,
    /// Live subscriptions.
    pub outlets: usize,
    /// Warm users: their states are in memory, and they have no actor.
    pub warm_users: usize,
    /// Bytes of the states of the warm users.
    pub warm_state_bytes: usize,
    /// Bytes of the warm users as they count towards their bound: those of the states, and about what each takes beside.
    pub warm_bytes: usize,
    /// Users that wait to be loaded, or to be unpacked.
    pub hydrating: usize,
    /// Commits that are pending.
    pub pending_commits: usize,
    /// Bytes that the pending commits keep in memory.
    pub pending_bytes: usize,
    /// Bytes of cached views.
    pub view_bytes: u64,
}

impl Profiles {
    /// Starts the shards, the commit thread and the hydration threads.
    ///
    /// # Errors
    /// A thread could not be started.
    ///
    /// # Panics
    /// If no actix system runs on this thread.
    pub fn start(options: Options, ports: Ports) -> std::io::Result<Self> {
        let parts = assemble(options, ports);
        let runtime = Arc::clone(&parts.runtime);
        Ok(Self { runtime, running: Arc::new(Running::start(parts)?) })
    }

    /// Returns a handle to parts that the tests run by hand.
    #[cfg(test)]
    pub(crate) fn over(runtime: Arc<Runtime>) -> Self {
        Self { runtime, running: Arc::default() }
    }

    /// Returns what all threads share.
    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Ends a user's actor as a panic would. Returns `false` if the user has none.
    #[cfg(test)]
    pub(crate) fn panic_actor(&self, user: &UserId) -> bool {
        self.runtime.roster.send_if_live(user, Request::Panic)
    }

    /// Hands an event to its user's actor. Never blocks. The result is sent by `reply` when it is durable.
    ///
    /// # Errors
    /// A limit is reached, or feeds get no commit permit now. The event was not taken, and the reply comes back, so that
    /// a stream can wait and submit again.
    pub fn submit(&self, event: FeedEvent, received: Instant, reply: Reply) -> Result<(), (Busy, Reply)> {
        let runtime = &self.runtime;
        if runtime.closing.load(Ordering::Relaxed) || !runtime.services.accepts_feed_events() {
            return Err((Busy, reply));
        }
        let limit = runtime.services.options.waiting_bytes;
        let share = Share::take(&runtime.waiting_bytes, size_of_event(&event), limit);
        let Some(share) = share else { return Err((Busy, reply)) };
        let user = event.user;
        let request = Request::ApplyFeedEvent(ApplyFeedEvent { event, received, reply, share });
        runtime.dispatch(user, request).map_err(|request| match *request {
            Request::ApplyFeedEvent(ApplyFeedEvent { reply, .. }) => (Busy, reply),
            _ => unreachable!("the request that was sent comes back"),
        })
    }

    /// Returns the profile as `viewer` may see it in a schema version, from the cache if the cached view is current.
    ///
    /// # Errors
    /// The user is unknown, or hidden from the viewer, which looks the same; a limit is reached; or the stored state cannot
    /// be read.
    pub async fn view(&self, user: UserId, viewer: &Viewer, schema: SchemaVersion) -> Result<View, ReadError> {
        if let Some(hit) = self.cached_view(&user, viewer, schema) {
            return Ok(hit);
        }
        self.runtime.services.metrics.view_miss.increment(1);
        self.runtime.read_view(user, viewer, schema).await
    }

    /// Returns the profile as [`Self::view`] does if the view is in the cache and current. `None` says nothing about whether
    /// there is such a user.
    pub fn cached_view(&self, user: &UserId, viewer: &Viewer, schema: SchemaVersion) -> Option<View> {
        let hit = self.runtime.cached_view(user, viewer, schema)?;
        self.runtime.services.metrics.view_hit.increment(1);
        Some(hit)
    }

    /// Answers a read of any kind from the newest committed state. The answer is made on this thread.
    ///
    /// # Errors
    /// As [`Self::view`], and as the kind says.
    pub async fn read<R: Reading>(&self, user: UserId, viewer: &Viewer, reading: R) -> Result<R::Answer, ReadError> {
        self.runtime.read(user, viewer, reading).await
    }

    /// Returns the access table in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.runtime.services.policy.load_full()
    }

    /// Returns the profile as it was published at a point in its history, under today's mask.
    ///
    /// # Errors
    /// As [`Self::view`], and if too many reads through history wait. The inner error says why the point of a user who is
    /// visible cannot be read.
    pub async fn view_at(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        point: HistoryPoint,
    ) -> Result<Result<View, HistoryFault>, ReadError> {
        self.runtime.view_at(user, viewer, schema, point).await
    }

    /// Returns the profile as [`Self::view_at`] does, and where its values came from when the revision was made. What events
    /// that made no revision have changed of that since is not in it, although [`Self::read`] shows it of the newest one.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub async fn provenance_at(
        &self,
        user: UserId,
        viewer: &Viewer,
        reading: ReadProvenance,
        point: HistoryPoint,
    ) -> Result<Result<ViewWithProvenance, HistoryFault>, ReadError> {
        self.runtime.provenance_at(user, viewer, reading, point).await
    }

    /// Returns the difference between the profile at two points in its history, both under today's mask. `None` stands for the
    /// newest revision.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub async fn difference(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        (from, to): (HistoryPoint, Option<HistoryPoint>),
    ) -> Result<Result<Difference, HistoryFault>, ReadError> {
        self.runtime.difference(user, viewer, schema, (from, to)).await
    }

    /// Returns a page of the revisions of a profile, newest first: at most `limit` of those before revision `before`, or the
    /// newest ones.
    ///
    /// # Errors
    /// As [`Self::view`], and if too many reads through history wait.
    pub async fn revisions(
        &self,
        user: UserId,
        viewer: &Viewer,
        before: Option<u64>,
        limit: usize,
    ) -> Result<RevisionPage, ReadError> {
        self.runtime.revisions(user, viewer, before, limit).await
    }

    /// Makes an event of the citizen's consent and commits it. Its time is now, or a microsecond after the newest stamp in
    /// the registers that it writes if that is later.
    ///
    /// # Errors
    /// The write was not acknowledged.
    pub async fn put_consent(
        &self,
        user: UserId,
        writes: Vec<RegisterWrite>,
        received: Instant,
    ) -> Result<Status, WriteError> {
        let (reply, result) = Reply::one();
        let request = Request::WriteConsent(WriteConsent { writes, received, reply });
        if self.runtime.closing.load(Ordering::Relaxed) || self.runtime.dispatch(user, request).is_err() {
            return Err(WriteError::Busy);
        }
        match result.await.map(|result| result.status) {
            Ok(Status::Busy) | Err(_) => Err(WriteError::Busy),
            Ok(Status::Erased) => Err(WriteError::Erased),
            Ok(status) => Ok(status),
        }
    }

    /// Erases a user: ends the present generation. The tombstone is durable when this returns, and no read of the generation is
    /// answered any more. A user who is erased already stays as it is.
    ///
    /// Beside the tombstone, everything is still there: the participants of the erasure have to forget the user.
    ///
    /// # Errors
    /// The user was not erased, or it is not known.
    pub async fn erase(&self, user: UserId, reason: ErasureReason) -> Result<ErasedUser, EraseError> {
        if self.runtime.closing.load(Ordering::Relaxed) {
            return Err(EraseError::Busy);
        }
        self.runtime.erase(user, reason).await
    }

    /// Returns the participant of an erasure that drops what is cached of a user in memory.
    pub fn live_memory(&self) -> Arc<dyn ErasureParticipant> {
        Arc::new(LiveMemory(Arc::clone(&self.runtime)))
    }

    /// Takes a snapshot of a user's newest revision. It is durable when this returns. `sees_sources` says whether the viewer may
    /// see where values come from.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn take_snapshot(
        &self,
        user: UserId,
        viewer: &Viewer,
        trigger: SnapshotTrigger,
        sees_sources: bool,
    ) -> Result<PastView, SnapshotError> {
        if self.runtime.closing.load(Ordering::Relaxed) {
            return Err(ReadError::Busy.into());
        }
        self.runtime.take_snapshot(user, viewer, trigger, sees_sources).await
    }

    /// Returns a page of a user's snapshots, the newest first: those after a position in the list, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub async fn snapshots(
        &self,
        user: UserId,
        viewer: &Viewer,
        page: (Option<SnapshotPosition>, usize),
        sees_sources: bool,
    ) -> Result<SnapshotPage, ReadError> {
        self.runtime.snapshots(user, viewer, page, sees_sources).await
    }

    /// Returns a snapshot and the profile at its revision, as `viewer` may see them today.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn snapshot(
        &self,
        user: UserId,
        viewer: &Viewer,
        id: SnapshotId,
        sees_sources: bool,
    ) -> Result<PastView, SnapshotError> {
        self.runtime.snapshot(user, viewer, id, sees_sources).await
    }

    /// Removes a snapshot. That is durable when this returns.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn remove_snapshot(&self, user: UserId, viewer: &Viewer, id: SnapshotId) -> Result<(), SnapshotError> {
        if self.runtime.closing.load(Ordering::Relaxed) {
            return Err(ReadError::Busy.into());
        }
        self.runtime.remove_snapshot(user, viewer, id).await
    }

    /// Subscribes to a user. The first frame in the outlet is the document, or a patch from the subscription's cursor to
    /// it; every later frame continues from there.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub async fn subscribe(&self, user: UserId, subscription: Subscription) -> Result<(), ReadError> {
        let runtime = &self.runtime;
        let request = |past| {
            let subscription = subscription.clone();
            move |answer| Request::Subscribe(Subscribe { subscription, past, answer })
        };
        let first = request(CursorPast::NotRead);
        let mut outcome = if subscription.followed_before {
            // A caller who followed the user before knows that it exists.
            runtime.ask(user, first).await?
        } else {
            runtime.ask_for(user, &subscription.viewer, runtime.ask(user, first)).await?
        };
        while let SubscribeOutcome::NeedsPast(revision) = outcome {
            let past = self
                .past(user, revision)
                .await?
                .map_or(CursorPast::OutOfReach, |past| CursorPast::Profile(Box::new(past)));
            outcome = runtime.ask(user, request(past)).await?;
        }
        Ok(())
    }

    /// Returns the profile as it was at a revision; `None` if the store does not reach back to it.
    async fn past(&self, user: UserId, revision: u64) -> Result<Option<PastProfile>, ReadError> {
        let (answer, past) = oneshot::channel();
        self.runtime.loads.push_past(GetPast { user, revision, answer })?;
        past.await.unwrap_or(Err(ReadError::Busy))
    }

    /// Ends a subscription: the outlet gives out no further frame of it. Returns whether a frame with `reset` was dropped:
    /// then the client has not learned yet that its cursor was not continued.
    pub fn unsubscribe(&self, user: UserId, subscription: u64, outlet: &OutletSender) -> bool {
        let owes_reset = outlet.close(subscription);
        // Only so that the actor frees the memory sooner.
        self.runtime.roster.send_if_live(&user, Request::PruneOutlets);
        owes_reset
    }

    /// Follows the events of all users along the journal.
    ///
    /// # Errors
    /// The cursor is malformed or cannot be continued, there are too many followers, or the journal cannot be read.
    pub async fn follow(&self, follow: Follow) -> Result<Follower, FollowError> {
        let follower = Follower::start(Arc::clone(&self.runtime.followers), follow).await?;
        // The mark moves the horizon to what was committed before.
        self.runtime.services.commits.mark();
        Ok(follower)
    }

    /// Has every subscriber's view follow a new policy at once, and not at the next tick. Call it after the policy was
    /// exchanged.
    pub fn follow_policy(&self) {
        for shard in &self.runtime.shards {
            // A shard that has stopped has no subscribers.
            let _ = shard.send(ShardEvent::PolicyChanged);
        }
    }

    /// Ends the actor of a user, unless it has subscribers, pending commits or waiting requests. Returns whether it had one
    /// and it ended. Looks at every actor, so it is for operators only.
    pub async fn passivate(&self, user: UserId) -> bool {
        let mut passivated = false;
        for shard in &self.runtime.shards {
            let (answer, ended) = oneshot::channel();
            // A shard that has stopped has no actors.
            if shard.send(ShardEvent::PassivationRequested(user, answer)).is_ok() {
                passivated |= ended.await.unwrap_or(false);
            }
        }
        passivated
    }

    /// Returns the committed states of the warm users, for checkpoints.
    pub fn committed_states(&self) -> Arc<dyn CommittedStates> {
        Arc::new(WarmStates(Arc::clone(&self.runtime)))
    }

    /// Returns the columns of all users.
    pub fn columns(&self) -> Arc<ColumnStore> {
        Arc::clone(&self.runtime.columns)
    }

    /// Returns the columns as checkpoints save them.
    pub fn columns_to_save(&self) -> Arc<dyn ProjectionSource> {
        Arc::new(ColumnsToSave(Arc::clone(&self.runtime)))
    }

    /// Returns whether writes may succeed.
    pub fn is_ready(&self) -> bool {
        let journal_failed = &self.runtime.services.journal_failed;
        !journal_failed.load(Ordering::Relaxed) && !self.runtime.closing.load(Ordering::Relaxed)
    }

    /// Returns the counters of the live state. Looks at every actor, so it is for operators only.
    pub async fn observe(&self) -> Counters {
        let services = &self.runtime.services;
        let warm = self.runtime.roster.warm_counters();
        let mut counters = Counters {
            hydrating: self.runtime.roster.starting(),
            warm_users: warm.users,
            warm_state_bytes: warm.state_bytes,
            warm_bytes: warm.bytes,
            pending_commits: services.permits.taken(),
            pending_bytes: services.permits.bytes(),
            view_bytes: services.cache.bytes(),
            ..Counters::default()
        };
        for shard in self.running.shards() {
            if let Ok(counted) = shard.send(Observe).await {
                counters.live_actors += counted.live_actors;
                counters.unpacked_actors += counted.unpacked_actors;
                counters.outlets += counted.outlets;
            }
        }
        counters
    }

    /// Returns the counters of one user's actor; `None` if the user has none. Does not hydrate the user.
    pub async fn observe_user(&self, user: UserId) -> Option<UserCounters> {
        let (sender, answer) = oneshot::channel();
        self.runtime.roster.send_if_live(&user, Request::Observe(sender));
        answer.await.ok()
    }

    /// Refuses further writes, waits until every mailbox is empty and every commit is settled, and ends all threads.
    /// Returns `false` if that took longer than [`Options::drain_timeout`]; what was not acknowledged by then never is.
    pub async fn stop(self) -> bool {
        self.running.stop(&self.runtime).await
    }
}

/// Returns about the bytes that an event takes while it waits.
fn size_of_event(event: &FeedEvent) -> usize {
    let value = |write: &RegisterWrite| write.value.as_ref().map_or(0, |value| value.as_bytes().len());
    size_of::<FeedEvent>() + event.writes.iter().map(|write| size_of::<RegisterWrite>() + value(write)).sum::<usize>()
}
