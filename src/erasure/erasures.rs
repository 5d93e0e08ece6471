//! The handle to erasures.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use domain::erasure::ErasureReason;
use domain::id::UserId;
use domain::port::audit::AuditLog;
use domain::port::audit_trail::AuditTrail;
use domain::port::clock::{Clock, Entropy};
use domain::port::erasure::{ErasureParticipant, StoredUser, UserDirectory};
use domain::port::journal::RowId;
use domain::port::keyring_backup::KeyringBackups;
use domain::port::registry::{Registry, RegistryError};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::job::{ErasureJob, ErasureOrigin, InvalidJob, JobStage};
use super::proof;
use super::read_block::ReadBlock;
use super::registered::RegisteredErasures;
use super::run::Step;
use super::user_eraser::EraseUser;
use crate::telemetry::metric;

/// Maximum number of erasures that are scheduled. The registry has room for more, which those at once have for themselves.
const MAX_SCHEDULED: usize = 8_192;
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Is asked at each step of an erasure whether it goes on. Only tests have one that says no.
pub(crate) type StepHook = Box<dyn Fn(Step) -> bool + Send + Sync>;

/// What erasures work with.
pub(crate) struct ErasureParts {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) audit: Arc<dyn AuditLog>,
    /// The same log, which is read for proofs.
    pub(crate) trail: Arc<dyn AuditTrail>,
    pub(crate) directory: Arc<dyn UserDirectory>,
    pub(crate) users: Arc<dyn EraseUser>,
    /// Who has to forget the user, in this order.
    pub(crate) participants: Vec<Arc<dyn ErasureParticipant>>,
    pub(crate) reads: ReadBlock,
    pub(crate) backups: Arc<dyn KeyringBackups>,
    /// The wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The key of the hashes under which jobs and receipts are stored.
    pub(crate) key: [u8; 32],
    /// How long a caller waits for an erasure.
    pub(crate) patience: Duration,
    /// How long the end of a retention must have passed before the profile is erased, in case the clock has jumped.
    pub(crate) confirm_clock: Duration,
    /// Is asked at each step whether the erasure goes on; `None` if it does.
    pub(crate) hook: Option<StepHook>,
}

/// The erasures. Clones share them.
#[derive(Clone)]
pub(crate) struct Erasures(pub(super) Arc<ErasureInner>);

pub(super) struct ErasureInner {
    pub(super) parts: ErasureParts,
    pub(super) registered: RegisteredErasures,
    /// The jobs that are not finished, as the registry has them.
    pub(super) jobs: Mutex<HashMap<UserId, PendingJob>>,
    /// Held by whoever works on a user's job.
    locks: Mutex<HashMap<UserId, Arc<tokio::sync::Mutex<()>>>>,
    /// Number of jobs that go on without a caller.
    pub(super) unattended: AtomicUsize,
}

/// A job that is not finished.
pub(super) struct PendingJob {
    pub(super) job: ErasureJob,
    /// How often it has failed.
    pub(super) failures: u32,
    /// When it may be tried again; `None` for at once.
    pub(super) next_try: Option<Instant>,
    /// Since when it is due without a break.
    pub(super) due_since: Option<Instant>,
}

/// What is known of a user whom somebody wants erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KnownErasure {
    /// There is no such user.
    Unknown,
    /// The user has a profile.
    Living,
    /// The profile is hidden, and is erased at this time, in microseconds since the Unix epoch.
    Scheduled { due_at: i64 },
    /// The erasure has begun, or there was one whose receipt is not at hand.
    Unfinished,
    /// The user was erased; the receipt.
    Finished(String),
}

/// An erasure that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedErasure {
    /// The receipt.
    pub(crate) receipt: String,
    /// Whether the erasure's entry in the audit log is that of this call. Otherwise it is that of an earlier one.
    pub(crate) is_recorded: bool,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErasureError {
    /// There is no such user, or no erasure that could be undone.
    #[error("there is no such user")]
    Unknown,
    /// Nothing has changed.
    #[error("the erasure did not begin: {0}")]
    NotBegun(String),
    /// Too many erasures are scheduled.
    #[error("too many erasures are scheduled")]
    TooMany,
    /// The erasure has begun, and goes on by itself.
    #[error("the erasure is not finished yet")]
    Unfinished,
}

impl ErasureError {
    pub(super) fn not_begun(error: impl std::fmt::Display) -> Self {
        Self::NotBegun(error.to_string())
    }
}

impl Erasures {
    /// Returns the erasures with the jobs of earlier runs. Profiles that nobody may read are hidden when this returns.
    ///
    /// # Errors
    /// A job cannot be read.
    pub(crate) fn load(parts: ErasureParts) -> Result<Self, InvalidJob> {
        let registered = RegisteredErasures::new(Arc::clone(&parts.registry), Arc::clone(&parts.clock), &parts.key);
        let pending = |job: ErasureJob| (job.user, PendingJob { job, failures: 0, next_try: None, due_since: None });
        let jobs: HashMap<_, _> = registered.jobs()?.into_iter().map(pending).collect();
        for (user, pending) in &jobs {
            if pending.job.hides() {
                parts.reads.block(*user, pending.job.row);
            }
        }
        let (jobs, locks, unattended) = (Mutex::new(jobs), Mutex::default(), AtomicUsize::new(0));
        let erasures = Self(Arc::new(ErasureInner { parts, registered, jobs, locks, unattended }));
        erasures.count();
        Ok(erasures)
    }

    /// Returns what is known of a user.
    ///
    /// # Errors
    /// The store could not be read.
    pub(crate) async fn state(&self, user: UserId) -> Result<KnownErasure, ErasureError> {
        if let Some(pending) = self.0.jobs.lock().get(&user) {
            return Ok(match pending.job.due_at() {
                Some(due_at) => KnownErasure::Scheduled { due_at },
                None => KnownErasure::Unfinished,
            });
        }
        Ok(match self.find(user).await? {
            None => KnownErasure::Unknown,
            Some(StoredUser::Living { .. }) => KnownErasure::Living,
            Some(StoredUser::Erased { tombstone, .. }) => {
                let receipt = self.0.registered.receipt(&user, tombstone.generation);
                receipt.map_or(KnownErasure::Unfinished, KnownErasure::Finished)
            }
        })
    }

    /// Erases a user now, and returns the receipt. An erasure that has begun goes on when the caller does not wait any more.
    ///
    /// # Errors
    /// See [`ErasureError`].
    pub(crate) async fn erase(
        &self,
        user: UserId,
        reason: ErasureReason,
        origin: ErasureOrigin,
    ) -> Result<FinishedErasure, ErasureError> {
        let this = self.clone();
        let work = tokio::spawn(async move { this.erase_to_the_end(user, reason, origin).await });
        match tokio::time::timeout(self.0.parts.patience, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(%error, "an erasure has ended early, and is tried again");
                Err(ErasureError::Unfinished)
            }
            Err(_) => Err(ErasureError::Unfinished),
        }
    }

    async fn erase_to_the_end(
        &self,
        user: UserId,
        reason: ErasureReason,
        origin: ErasureOrigin,
    ) -> Result<FinishedErasure, ErasureError> {
        let _lock = self.lock(user).await;
        let pending = self.0.jobs.lock().get(&user).map(|pending| pending.job.clone());
        let job = match pending {
            Some(job) if job.due_at().is_none() => job,
            Some(scheduled) => ErasureJob { reason, origin, ..scheduled },
            None => match self.find(user).await?.ok_or(ErasureError::Unknown)? {
                StoredUser::Living { row, generation } => self.new_job(user, (row, generation), reason, origin),
                StoredUser::Erased { row, tombstone } => {
                    if let Some(receipt) = self.0.registered.receipt(&user, tombstone.generation) {
                        return Ok(FinishedErasure { receipt, is_recorded: false });
                    }
                    self.new_job(user, (row, tombstone.generation), tombstone.reason, origin)
                }
            },
        };
        let (job, is_recorded) = match job.stage {
            JobStage::Running(_) => (job, false),
            JobStage::Scheduled { .. } => (self.begin(job).await?, true),
        };
        self.run(job, is_recorded).await.map(|receipt| FinishedErasure { receipt, is_recorded })
    }

    /// Hides a profile at once, and erases it after `days`. Returns when it will be erased, in microseconds since the Unix
    /// epoch: one that is scheduled already is brought forward, and never put off. Durable when it returns.
    ///
    /// # Errors
    /// See [`ErasureError`]. An erasure that has begun is not put off.
    pub(crate) async fn schedule(
        &self,
        user: UserId,
        reason: ErasureReason,
        origin: ErasureOrigin,
        days: u32,
    ) -> Result<i64, ErasureError> {
        let _lock = self.lock(user).await;
        let pending = self.0.jobs.lock().get(&user).map(|pending| pending.job.clone());
        let mut job = match pending {
            Some(job) if job.due_at().is_none() => return Err(ErasureError::Unfinished),
            Some(job) => job,
            None if self.scheduled() >= MAX_SCHEDULED => return Err(ErasureError::TooMany),
            None => match self.find(user).await? {
                Some(StoredUser::Living { row, generation }) => self.new_job(user, (row, generation), reason, origin),
                Some(StoredUser::Erased { .. }) => return Err(ErasureError::Unfinished),
                None => return Err(ErasureError::Unknown),
            },
        };
        let asked = self.0.parts.clock.now_micros().saturating_add(i64::from(days) * DAY_MICROS);
        let due_at = job.due_at().unwrap_or(i64::MAX).min(asked);
        job.stage = JobStage::Scheduled { due_at };
        self.store(&job).await.map_err(ErasureError::not_begun)?;
        self.0.parts.reads.block(user, job.row);
        metric::erasures("scheduled").increment(1);
        self.remember(job);
        Ok(due_at)
    }

    /// Undoes an erasure that is scheduled: the profile can be read again.
    ///
    /// # Errors
    /// None is scheduled, or the erasure has begun; or nothing has changed.
    pub(crate) async fn undo(&self, user: UserId) -> Result<(), ErasureError> {
        let _lock = self.lock(user).await;
        let pending = self.0.jobs.lock().get(&user).map(|pending| pending.job.clone());
        let job = pending.ok_or(ErasureError::Unknown)?;
        if job.due_at().is_none() {
            return Err(ErasureError::Unfinished);
        }
        let this = self.clone();
        let removed = tokio::task::spawn_blocking(move || this.0.registered.remove_job(&user)).await;
        removed.map_err(ErasureError::not_begun)?.map_err(ErasureError::not_begun)?;
        self.forget(&user);
        self.0.parts.reads.unblock(&user, job.row);
        metric::erasures("undone").increment(1);
        Ok(())
    }

    /// Undoes the erasures that the audit log says were undone after they were scheduled: those of a registry that is older than the
    /// log. Returns how many.
    ///
    /// # Errors
    /// The log could not be read, or a job not be removed.
    pub(crate) async fn cancel_undone(&self) -> Result<usize, ErasureError> {
        let scheduled: Vec<UserId> = {
            let jobs = self.0.jobs.lock();
            jobs.values().filter(|pending| pending.job.due_at().is_some()).map(|pending| pending.job.user).collect()
        };
        let mut undone = 0;
        for user in scheduled {
            let trail = Arc::clone(&self.0.parts.trail);
            let found = tokio::task::spawn_blocking(move || proof::was_undone(&*trail, &user)).await;
            if found.map_err(ErasureError::not_begun)?.map_err(ErasureError::not_begun)? {
                self.undo(user).await?;
                undone += 1;
            }
        }
        Ok(undone)
    }

    /// Returns a job for a user's present generation. It is scheduled for no time yet.
    fn new_job(
        &self,
        user: UserId,
        (row, generation): (RowId, u32),
        reason: ErasureReason,
        origin: ErasureOrigin,
    ) -> ErasureJob {
        let (requested_at, stage) = (self.0.parts.clock.now_micros(), JobStage::Scheduled { due_at: i64::MAX });
        ErasureJob { user, row, generation, reason, origin, requested_at, stage }
    }

    async fn find(&self, user: UserId) -> Result<Option<StoredUser>, ErasureError> {
        let directory = Arc::clone(&self.0.parts.directory);
        let found = tokio::task::spawn_blocking(move || directory.find(&user)).await;
        found.map_err(ErasureError::not_begun)?.map_err(ErasureError::not_begun)
    }

    /// Waits until nobody else works on a user's job.
    pub(super) async fn lock(&self, user: UserId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.locks.lock();
            // Nobody else has these: they are not held, and not waited for.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(user).or_default())
        };
        lock.lock_owned().await
    }

    /// Stores a job. Durable when it returns.
    pub(super) async fn store(&self, job: &ErasureJob) -> Result<(), RegistryError> {
        let (this, job) = (self.clone(), job.clone());
        let stored = tokio::task::spawn_blocking(move || this.0.registered.store_job(&job)).await;
        stored.unwrap_or_else(|error| Err(RegistryError::Unavailable { source: Box::new(error) }))
    }

    /// Notes a job as the registry has it.
    pub(super) fn remember(&self, job: ErasureJob) {
        let mut jobs = self.0.jobs.lock();
        match jobs.get_mut(&job.user) {
            Some(pending) => pending.job = job,
            None => {
                let pending = PendingJob { job, failures: 0, next_try: None, due_since: None };
                jobs.insert(pending.job.user, pending);
            }
        }
        drop(jobs);
        self.count();
    }

    /// Forgets a job that is not in the registry any more.
    pub(super) fn forget(&self, user: &UserId) {
        self.0.jobs.lock().remove(user);
        self.count();
    }

    fn scheduled(&self) -> usize {
        self.0.jobs.lock().values().filter(|pending| pending.job.due_at().is_some()).count()
    }

    fn count(&self) {
        let scheduled = self.scheduled();
        let unfinished = self.0.jobs.lock().len() - scheduled;
        metric::erasures_waiting("scheduled").set(scheduled as f64);
        metric::erasures_waiting("unfinished").set(unfinished as f64);
    }
}
