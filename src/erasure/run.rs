//! The steps of an erasure. Each can be taken again after a crash at any point.
//!
//! 1. The job is durable, with a nonce and the tree head of before.
//! 2. The entry is in the audit log.
//! 3. The tombstone is durable: from here on nobody reads the profile.
//! 4. The job holds the tombstone: a later life of the user is not taken for the one that has ended.
//! 5. Every participant has forgotten the user, one after the other.
//! 6. The receipt is durable, with a tree head that was signed for it.
//! 7. The job is removed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::EraseError;
use domain::erasure::Tombstone;
use domain::erasure_receipt::commitment;
use domain::port::erasure::{ErasedUser, StoredUser};
use domain::port::registry::RegistryError;

use super::erasures::{ErasureError, Erasures};
use super::job::{ErasureJob, JobStage, RunningErasure};
use super::proof::{self, ProofError, ReceiptParts};
use crate::telemetry::metric;

/// Time before a step that has failed is taken again, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A step that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The job is durable.
    Begun,
    /// The entry is in the audit log.
    Recorded,
    /// The tombstone is durable.
    Ended,
    /// The job holds the tombstone.
    Noted,
    /// A participant has forgotten the user, by its place in the list.
    Forgotten(usize),
    /// The receipt is durable.
    Proved,
}

/// Why a step was not taken. It is taken again later.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the job could not be stored")]
    Registry(#[from] RegistryError),
    #[error("its audit entry or proof could not be made")]
    Proof(#[from] ProofError),
    #[error("its tombstone is not durable: {0}")]
    Erase(#[from] EraseError),
    #[error("{0} may hold something of the user")]
    Participant(&'static str, #[source] domain::port::store::StoreError),
    #[error("the store could not be read")]
    Store(#[from] domain::port::store::StoreError),
    #[error("a step has ended early")]
    Panicked(#[from] tokio::task::JoinError),
    #[error("a test has interrupted it")]
    Interrupted,
}

impl Erasures {
    /// Makes a job one that has begun. It is durable when this returns.
    ///
    /// # Errors
    /// Nothing has changed.
    pub(super) async fn begin(&self, job: ErasureJob) -> Result<ErasureJob, ErasureError> {
        let trail = Arc::clone(&self.0.parts.trail);
        let signed = tokio::task::spawn_blocking(move || trail.sign_tree_head()).await;
        let head = signed.map_err(ErasureError::not_begun)?.map_err(ErasureError::not_begun)?;
        let mut nonce = [0; 32];
        self.0.parts.entropy.fill(&mut nonce);
        let running = RunningErasure { nonce, tree_head_before: head.line, tombstone: None };
        let job = ErasureJob { stage: JobStage::Running(running), ..job };
        self.store(&job).await.map_err(ErasureError::not_begun)?;
        self.remember(job.clone());
        Ok(job)
    }

    /// Takes the steps of a job that has begun, and returns the receipt. The caller holds the user's lock. After a failure
    /// nobody reads the profile, and the job is tried again after a pause.
    ///
    /// A job that has begun just now `is_new`: its entry is not in the audit log.
    ///
    /// # Errors
    /// A step was not taken.
    pub(super) async fn run(&self, job: ErasureJob, is_new: bool) -> Result<String, ErasureError> {
        let user = job.user;
        match self.take_steps(job, is_new).await {
            Ok(receipt) => {
                metric::erasures("finished").increment(1);
                Ok(receipt)
            }
            Err(error) => {
                metric::erasures("failed").increment(1);
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "an erasure is not finished, and is tried again");
                let hidden = self.0.jobs.lock().get_mut(&user).and_then(|pending| {
                    let pause = FIRST_PAUSE.saturating_mul(1 << pending.failures.min(6)).min(LONGEST_PAUSE);
                    pending.failures += 1;
                    pending.next_try = Some(Instant::now() + pause);
                    pending.job.hides().then_some(pending.job.row)
                });
                if let Some(row) = hidden {
                    self.0.parts.reads.block(user, row);
                }
                Err(ErasureError::Unfinished)
            }
        }
    }

    async fn take_steps(&self, mut job: ErasureJob, is_new: bool) -> Result<String, StepError> {
        let JobStage::Running(running) = job.stage.clone() else { return Err(StepError::Interrupted) };
        let user = job.user;
        self.reached(Step::Begun)?;
        self.record(&job, &running, is_new).await?;
        self.reached(Step::Recorded)?;
        let tombstone = match running.tombstone {
            Some(tombstone) => tombstone,
            None => {
                let tombstone = self.end_generation(&job).await?;
                self.reached(Step::Ended)?;
                // The tombstone answers from now on. A failure of what follows does not open the profile again.
                self.0.parts.reads.unblock(&user, job.row);
                job.stage = JobStage::Running(RunningErasure { tombstone: Some(tombstone), ..running.clone() });
                self.remember(job.clone());
                self.store(&job).await?;
                tombstone
            }
        };
        self.reached(Step::Noted)?;
        self.forget_everywhere(ErasedUser { user, row: job.row, tombstone }).await?;
        let receipt = self.prove(&job, &running, &tombstone).await?;
        self.reached(Step::Proved)?;
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.0.registered.remove_job(&user)).await??;
        self.forget(&user);
        Ok(receipt)
    }

    /// Writes the entry of the audit log, unless an earlier try has.
    async fn record(&self, job: &ErasureJob, running: &RunningErasure, is_new: bool) -> Result<(), StepError> {
        let commitment = commitment(&running.nonce, &job.user);
        let (trail, user) = (Arc::clone(&self.0.parts.trail), job.user);
        let find = move || proof::find_entry(&*trail, &user, &commitment);
        if is_new || tokio::task::spawn_blocking(find).await??.is_none() {
            let entry = proof::entry(job, &commitment);
            self.0.parts.audit.write(entry).await.map_err(ProofError::from)?;
        }
        Ok(())
    }

    /// Ends the user's generation, unless that has happened.
    async fn end_generation(&self, job: &ErasureJob) -> Result<Tombstone, StepError> {
        let (directory, user) = (Arc::clone(&self.0.parts.directory), job.user);
        match tokio::task::spawn_blocking(move || directory.find(&user)).await?? {
            // The user lives again, so the generation of the job has ended before. What is known of its end is in the log.
            Some(StoredUser::Living { generation, .. }) if generation > job.generation => Ok(Tombstone {
                generation: job.generation,
                erased_at: job.requested_at,
                reason: job.reason,
                last_revision: 0,
                last_sequence: 0,
                was_shared: false,
            }),
            _ => Ok(self.0.parts.users.erase(job.user, job.reason).await?.tombstone),
        }
    }

    /// Has the participants forget the user, one after the other.
    async fn forget_everywhere(&self, erased: ErasedUser) -> Result<(), StepError> {
        for (place, participant) in self.0.parts.participants.iter().enumerate() {
            let (name, participant) = (participant.name(), Arc::clone(participant));
            let forgotten = tokio::task::spawn_blocking(move || participant.forget(&erased)).await?;
            forgotten.map_err(|error| StepError::Participant(name, error))?;
            self.reached(Step::Forgotten(place))?;
        }
        Ok(())
    }

    /// Makes and stores the receipt, unless that has happened.
    async fn prove(
        &self,
        job: &ErasureJob,
        running: &RunningErasure,
        tombstone: &Tombstone,
    ) -> Result<String, StepError> {
        let (this, job, running, tombstone) = (self.clone(), job.clone(), running.clone(), *tombstone);
        let prove = move || {
            let parts = &this.0.parts;
            if let Some(receipt) = this.0.registered.receipt(&job.user, tombstone.generation) {
                return Ok(receipt);
            }
            let receipt = proof::receipt(
                &*parts.trail,
                &ReceiptParts {
                    user: job.user,
                    row: job.row,
                    nonce: running.nonce,
                    tree_head_before: &running.tree_head_before,
                    tombstone,
                    keyring_backup_until: parts.backups.kept_until(),
                },
            )?;
            let text = receipt.to_json();
            this.0.registered.store_receipt(&job.user, tombstone.generation, &text)?;
            Ok(text)
        };
        tokio::task::spawn_blocking(prove).await?
    }

    fn reached(&self, step: Step) -> Result<(), StepError> {
        match &self.0.parts.hook {
            Some(goes_on) if !goes_on(step) => Err(StepError::Interrupted),
            _ => Ok(()),
        }
    }
}
