//! Jobs that are not finished go on: at the start, when the end of a retention has come, and after a failure.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::id::UserId;

use super::erasures::{Erasures, PendingJob};
use super::job::JobStage;

/// Maximum number of jobs that go on at the same time without a caller.
const MAX_UNATTENDED: usize = 2;
/// How long a start waits for jobs that had begun. What is not over by then goes on, and nobody reads those profiles.
const START: Duration = Duration::from_secs(60);
/// How long a job that goes on is not begun a second time. Whoever works on it holds its lock for longer if need be.
const UNDER_WAY: Duration = Duration::from_secs(60);

impl Erasures {
    /// Tries every job that had begun when the server ended once. Called before anybody is served: a profile that is to be
    /// erased is not shown any more. What cannot be finished now is hidden, and tried again later.
    pub(crate) async fn resume(&self) {
        let begun: Vec<UserId> = {
            let jobs = self.0.jobs.lock();
            jobs.values().filter(|pending| pending.job.due_at().is_none()).map(|pending| pending.job.user).collect()
        };
        if begun.is_empty() {
            return;
        }
        tracing::info!(erasures = begun.len(), "erasures of an earlier run are finished");
        let this = self.clone();
        let work = tokio::spawn(async move {
            for user in begun {
                this.go_on(user).await;
            }
        });
        if tokio::time::timeout(START, work).await.is_err() {
            tracing::warn!("erasures of an earlier run take long: the server starts, and they go on");
        }
    }

    /// Starts the work that is due. Never waits. Called about every second.
    pub(crate) fn tick(&self) {
        let (now, micros) = (Instant::now(), self.0.parts.clock.now_micros());
        let confirm = self.0.parts.confirm_clock;
        let mut places = MAX_UNATTENDED.saturating_sub(self.0.unattended.load(Ordering::Relaxed));
        for pending in self.0.jobs.lock().values_mut() {
            if pending.is_ready(micros, now, confirm) && places > 0 {
                places -= 1;
                pending.next_try = Some(now + UNDER_WAY);
                self.0.unattended.fetch_add(1, Ordering::Relaxed);
                let (this, user) = (self.clone(), pending.job.user);
                tokio::spawn(async move {
                    this.go_on(user).await;
                    this.0.unattended.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }

    /// Goes on with a user's job. What fails is logged, and tried again later.
    async fn go_on(&self, user: UserId) {
        let _lock = self.lock(user).await;
        // Somebody may have finished or undone it meanwhile.
        let Some(job) = self.0.jobs.lock().get(&user).map(|pending| pending.job.clone()) else { return };
        let (job, is_new) = match job.stage {
            JobStage::Running(_) => (job, false),
            // It may have been undone and scheduled again.
            JobStage::Scheduled { due_at } if due_at > self.0.parts.clock.now_micros() => return,
            JobStage::Scheduled { .. } => match self.begin(job).await {
                Ok(job) => (job, true),
                Err(error) => {
                    tracing::error!(%error, "an erasure that is due did not begin, and is tried again");
                    return;
                }
            },
        };
        // What failed was logged.
        let _ = self.run(job, is_new).await;
    }
}

impl PendingJob {
    /// Returns whether the job is to go on. A time that has come counts only once it has held for `confirm`: the clock may
    /// have jumped, and what is erased cannot be restored.
    fn is_ready(&mut self, micros: i64, now: Instant, confirm: Duration) -> bool {
        let is_due = match self.job.due_at() {
            None => true,
            Some(due_at) if due_at <= micros => now.duration_since(*self.due_since.get_or_insert(now)) >= confirm,
            Some(_) => {
                self.due_since = None;
                false
            }
        };
        is_due && self.next_try.is_none_or(|next_try| next_try <= now)
    }
}
