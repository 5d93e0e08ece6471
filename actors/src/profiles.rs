//! The handle to the live state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use domain::access::{Viewer, Visibility};
use domain::event::{FeedEvent, RegisterWrite};
use domain::id::UserId;
use domain::past::PastProfile;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::commit::{Bounds, CommitQueue, Committer, Lag, PermitLimits, Permits};
use crate::cursor_cipher::CursorCipher;
use crate::error::{Busy, ReadError, WriteError};
use crate::follower::{Follow, FollowError, Follower, Followers};
use crate::hydration::{GetPast, LoadQueue, Loader};
use crate::metric::Metrics;
use crate::options::Options;
use crate::outlet::{CursorKey, OutletSender};
use crate::ports::Ports;
use crate::priority::Share;
use crate::profile::{
    ApplyFeedEvent, Completeness, GetCompleteness, GetView, OpenOutlet, Opened, Request, Subscription, UserCounters,
    WriteConsent,
};
use crate::reply::{Reply, Status};
use crate::roster::{Observe, Roster, RosterActor, ShardEvent};
use crate::shared::{ShardKey, Shared};
use crate::today::Today;
use crate::view_cache::{View, ViewCache};

/// The live state of all users: what the front door holds. Cloning shares it.
#[derive(Clone)]
pub struct Profiles {
    shared: Arc<Shared>,
    running: Arc<Running>,
}

/// What [`Profiles::stop`] ends.
#[derive(Default)]
struct Running {
    arbiters: Mutex<Vec<Arbiter>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shards: Vec<Addr<RosterActor>>,
}

/// What the live state counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Users with an actor.
    pub live_actors: usize,
    /// Of them, those whose state is unpacked.
    pub unpacked_actors: usize,
    /// Live subscriptions.
    pub outlets: usize,
    /// Users that wait to be loaded.
    pub hydrating: usize,
    /// Commits that are pending.
    pub pending_commits: usize,
    /// Bytes that they keep in memory.
    pub pending_bytes: usize,
    /// Bytes of cached views.
    pub view_bytes: u64,
}

/// The parts before any of them runs: the tests run them by hand.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) committer: Committer,
    pub(crate) loaders: Vec<Loader>,
    pub(crate) events: Vec<mpsc::UnboundedReceiver<ShardEvent>>,
}

/// Puts the parts together.
pub(crate) fn assemble(options: Options, ports: Ports) -> Parts {
    let Ports { journal, store, log, clock, entropy, rules, policy } = ports;
    let (shards, events) = (0..options.shard_count()).map(|_| mpsc::unbounded_channel()).unzip();
    let cipher = Arc::new(CursorCipher::new(&options.cursor_key));
    let permits = PermitLimits {
        commits: options.limits(options.commit_permits),
        bytes: options.byte_limits(options.permit_bytes),
    };
    let lag = Lag { store: Arc::clone(&store), max_bytes: options.max_lag_bytes };
    let followers = Followers::new(&options, log, Arc::clone(&store), Arc::clone(&cipher), Arc::clone(&entropy));
    let shared = Arc::new(Shared {
        rules_fingerprint: rules.fingerprint(),
        today: Today::new(rules.zone.clone(), clock.now_micros()),
        cursors: CursorKey { epoch: options.epoch, cipher },
        roster: Roster::new(options.limits(options.hydration_queue), options.mailbox_limits()),
        permits: Permits::new(permits, lag),
        commits: CommitQueue::new(Bounds {
            records: options.limits(options.commit_queue_capacity),
            bytes: options.byte_limits(options.commit_queue_bytes),
            group_records: options.max_group,
            group_bytes: options.max_group_bytes,
        }),
        loads: LoadQueue::new(options.hydration_queue),
        look_ups: Arc::default(),
        flights: Arc::default(),
        waiting_bytes: Arc::default(),
        shard_key: ShardKey::new(&*entropy),
        cache: ViewCache::new(options.view_bytes, options.view_idle),
        followers,
        shards,
        live_actors: AtomicUsize::new(0),
        journal_failed: AtomicBool::new(false),
        closing: AtomicBool::new(false),
        metrics: Metrics::register(),
        options,
        clock,
        entropy,
        rules,
        policy,
    });
    let committer = Committer::new(journal, Arc::clone(&shared));
    let loaders = (0..shared.options.hydration_threads.max(1))
        .map(|_| Loader::new(Arc::clone(&store), Arc::clone(&shared)))
        .collect();
    Parts { shared, committer, loaders, events }
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
        let Parts { shared, committer, loaders, events } = assemble(options, ports);
        let mut running = Running::default();
        for (index, events) in events.into_iter().enumerate() {
            let arbiter = Arbiter::try_new()?;
            let shared = Arc::clone(&shared);
            running.shards.push(RosterActor::start_in_arbiter(&arbiter.handle(), move |_| {
                RosterActor::new(shared, index as u16, events)
            }));
            running.arbiters.get_mut().push(arbiter);
        }
        let mut spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
            running.threads.get_mut().push(thread);
            Ok::<(), std::io::Error>(())
        };
        spawn("commit", Box::new(|| committer.run()))?;
        for loader in loaders {
            spawn("hydrate", Box::new(|| loader.run()))?;
        }
        Ok(Self { shared, running: Arc::new(running) })
    }

    /// A handle to parts that the tests run by hand.
    #[cfg(test)]
    pub(crate) fn over(shared: Arc<Shared>) -> Self {
        Self { shared, running: Arc::default() }
    }

    /// Ends a user's actor, where there is one, as a panic would.
    #[cfg(test)]
    pub(crate) fn panic_actor(&self, user: &UserId) -> bool {
        self.shared.roster.tell(user, Request::Panic)
    }

    /// Hands an event to its user's actor. Never blocks; the result comes by `reply`, once it is durable.
    ///
    /// # Errors
    /// A bound was reached, or there is no commit permit for feeds: nothing was taken. So a stream can wait, which it could
    /// not do for an event that its user's actor refuses.
    pub fn submit(&self, event: FeedEvent, received: Instant, reply: Reply) -> Result<(), (Busy, Reply)> {
        if self.shared.closing.load(Ordering::Relaxed) || !self.shared.takes_feed_events() {
            return Err((Busy, reply));
        }
        let (pool, limit) = (&self.shared.waiting_bytes, self.shared.options.waiting_bytes);
        let Some(room) = Share::take(pool, size_of_event(&event), limit) else { return Err((Busy, reply)) };
        let user = event.user;
        let request = Request::ApplyFeedEvent(ApplyFeedEvent { event, received, reply, room });
        self.shared.dispatch(user, request).map_err(|request| match *request {
            Request::ApplyFeedEvent(ApplyFeedEvent { reply, .. }) => (Busy, reply),
            _ => unreachable!("what was sent comes back"),
        })
    }

    /// The profile as `viewer` may see it: from the cache when it is current, else from the actor.
    ///
    /// # Errors
    /// Unknown, and hidden just so; or busy; or the stored state cannot be read.
    pub async fn view(&self, user: UserId, viewer: &Viewer) -> Result<View, ReadError> {
        if let Some(hit) = self.cached_view(&user, viewer) {
            self.shared.metrics.view_hit.increment(1);
            return Ok(hit);
        }
        self.shared.metrics.view_miss.increment(1);
        self.ask_for(user, viewer, |viewer, answer| Request::GetView(GetView { viewer, answer })).await
    }

    /// One look into the cache: the head cell, the day and the mask decide whether what it holds may be served.
    fn cached_view(&self, user: &UserId, viewer: &Viewer) -> Option<View> {
        let views = self.shared.cache.current(user, self.shared.today())?;
        match self.shared.policy.load().visibility(viewer, user, views.consent) {
            Visibility::Mask(mask) => views.get(mask),
            // A denial takes its own way, which is the same for users who are nowhere.
            Visibility::Hidden => None,
        }
    }

    /// How complete the profile is, for viewers who see `profile_completeness_pct`.
    ///
    /// # Errors
    /// As [`Self::view`]; unknown, too, for viewers who do not see it.
    pub async fn completeness(&self, user: UserId, viewer: &Viewer) -> Result<Completeness, ReadError> {
        self.ask_for(user, viewer, |viewer, answer| Request::GetCompleteness(GetCompleteness { viewer, answer })).await
    }

    /// Makes and commits the event of the citizen's consent. Its time is the greatest of now and a microsecond after
    /// the newest stamp in the registers that it writes.
    ///
    /// # Errors
    /// It was not acknowledged.
    pub async fn put_consent(
        &self,
        user: UserId,
        writes: Vec<RegisterWrite>,
        received: Instant,
    ) -> Result<Status, WriteError> {
        let (reply, result) = Reply::one();
        let request = Request::WriteConsent(WriteConsent { writes, received, reply });
        if self.shared.closing.load(Ordering::Relaxed) || self.shared.dispatch(user, request).is_err() {
            return Err(WriteError::Busy);
        }
        match result.await.map(|result| result.status) {
            Ok(Status::Busy) | Err(_) => Err(WriteError::Busy),
            Ok(status) => Ok(status),
        }
    }

    /// Follows a user: the state is the first frame in the outlet, or the way to it from the subscription's cursor,
    /// and every later frame continues from it.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub async fn subscribe(&self, user: UserId, subscription: Subscription) -> Result<(), ReadError> {
        let open = |past| {
            let subscription = subscription.clone();
            move |answer| Request::OpenOutlet(OpenOutlet { subscription, past, answer })
        };
        // A caller who followed the user before knows that it exists.
        let mut opened = match subscription.follows_on {
            true => self.ask(user, open(None)).await?,
            false => self.ask_for(user, &subscription.viewer, |_, answer| open(None)(answer)).await?,
        };
        while let Opened::NeedsPast(revision) = opened {
            let past = self.past(user, revision).await?;
            opened = self.ask(user, open(Some(past))).await?;
        }
        Ok(())
    }

    /// The profile as it stood at a revision that was published; `None` where it cannot be reached.
    async fn past(&self, user: UserId, revision: u64) -> Result<Option<PastProfile>, ReadError> {
        let (answer, past) = oneshot::channel();
        self.shared.loads.ask(GetPast { user, revision, answer })?;
        past.await.unwrap_or(Err(ReadError::Busy))
    }

    /// Ends a subscription: no frame of it comes out of the outlet any more. Says whether the client is still owed the
    /// word that its cursor was not continued.
    pub fn unsubscribe(&self, user: UserId, subscription: u64, outlet: &OutletSender) -> bool {
        let owes_reset = outlet.close(subscription);
        // That suffices; the actor only frees its place sooner.
        self.shared.roster.tell(&user, Request::PruneOutlets);
        owes_reset
    }

    /// Follows all users along the journal, for a caller who may.
    ///
    /// # Errors
    /// The cursor is none, or not one to go on from; or there are too many followers.
    pub async fn follow(&self, follow: Follow) -> Result<Follower, FollowError> {
        Follower::start(Arc::clone(&self.shared), follow).await
    }

    /// Asks a user's actor for a viewer. Callers who must not learn whether a user exists are told "unknown" in the same
    /// way for hidden and for unknown users.
    async fn ask_for<T>(
        &self,
        user: UserId,
        viewer: &Viewer,
        request: impl FnOnce(Viewer, oneshot::Sender<Result<T, ReadError>>) -> Request,
    ) -> Result<T, ReadError> {
        let is_told_all = !viewer.existence_may_be_hidden();
        if !is_told_all && !self.shared.is_shown(user, viewer).await? {
            return Err(ReadError::Unknown);
        }
        match self.ask(user, |answer| request(viewer.clone(), answer)).await {
            // It was hidden meanwhile.
            Err(ReadError::Unknown) if !is_told_all => {
                self.shared.look_up_nobody(user).await?;
                Err(ReadError::Unknown)
            }
            answer => answer,
        }
    }

    async fn ask<T>(
        &self,
        user: UserId,
        request: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Request,
    ) -> Result<T, ReadError> {
        let (sender, answer) = oneshot::channel();
        self.shared.dispatch(user, request(sender)).map_err(|_| Busy)?;
        // An actor that ends with the request in its mailbox gives no answer.
        answer.await.unwrap_or(Err(ReadError::Busy))
    }

    /// Has every subscriber's view follow a new policy at once, and not at the next tick. To be called when it is there.
    pub fn follow_policy(&self) {
        for shard in &self.shared.shards {
            // A shard that is gone has no subscribers.
            let _ = shard.send(ShardEvent::PolicyChanged);
        }
    }

    /// Whether writes may succeed.
    pub fn is_ready(&self) -> bool {
        !self.shared.journal_failed.load(Ordering::Relaxed) && !self.shared.closing.load(Ordering::Relaxed)
    }

    /// Counts what is live. Looks at every actor: for an operator, not for a request.
    pub async fn observe(&self) -> Counters {
        let mut counters = Counters {
            hydrating: self.shared.roster.hydrating(),
            pending_commits: self.shared.permits.taken(),
            pending_bytes: self.shared.permits.bytes(),
            view_bytes: self.shared.cache.bytes(),
            ..Counters::default()
        };
        for shard in &self.running.shards {
            if let Ok(counted) = shard.send(Observe).await {
                counters.live_actors += counted.live_actors;
                counters.unpacked_actors += counted.unpacked_actors;
                counters.outlets += counted.outlets;
            }
        }
        counters
    }

    /// Counts what one user's actor holds; `None` for a user without one, who is not hydrated for it.
    pub async fn observe_user(&self, user: UserId) -> Option<UserCounters> {
        let (sender, answer) = oneshot::channel();
        self.shared.roster.tell(&user, Request::Observe(sender));
        answer.await.ok()
    }

    /// Takes no more events, waits until every mailbox is empty and every commit settled, and ends all threads.
    /// `false` when that took longer than the options allow; what was not acknowledged by then never is.
    pub async fn stop(self) -> bool {
        self.shared.closing.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + self.shared.options.drain_timeout;
        while !self.is_drained() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let drained = self.is_drained();
        self.shared.commits.close();
        let threads = std::mem::take(&mut *self.running.threads.lock());
        let arbiters = std::mem::take(&mut *self.running.arbiters.lock());
        for arbiter in &arbiters {
            arbiter.stop();
        }
        let shared = Arc::clone(&self.shared);
        let join = move || {
            let mut threads = threads.into_iter();
            // The commit thread is the first. What it hands on is still loaded.
            let committed = threads.next().is_none_or(|commit| commit.join().is_ok());
            shared.loads.close();
            let threads = threads.map(|thread| thread.join());
            let arbiters = arbiters.into_iter().map(|arbiter| arbiter.join());
            let ended = threads.chain(arbiters).fold(committed, |ended, one| ended && one.is_ok());
            // Nobody is left who would make their actors.
            shared.roster.refuse_waiting();
            ended
        };
        let ended = tokio::task::spawn_blocking(join).await;
        drained && ended.unwrap_or(false)
    }

    fn is_drained(&self) -> bool {
        // In this order: a request becomes a load or a commit before it leaves its queue.
        self.shared.roster.is_quiet()
            && self.shared.roster.hydrating() == 0
            && self.shared.commits.is_empty()
            && self.shared.permits.taken() == 0
    }
}

/// About the bytes that an event takes while it waits.
fn size_of_event(event: &FeedEvent) -> usize {
    let value = |write: &RegisterWrite| write.value.as_ref().map_or(0, |value| value.as_bytes().len());
    size_of::<FeedEvent>() + event.writes.iter().map(|write| size_of::<RegisterWrite>() + value(write)).sum::<usize>()
}
