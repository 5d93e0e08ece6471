//! A job: an erasure that is scheduled or under way, as the registry holds it.

use domain::erasure::{ErasureReason, TOMBSTONE_BYTES, Tombstone};
use domain::id::UserId;
use domain::port::audit::AuditActor;
use domain::port::journal::RowId;
use serde::{Deserialize, Serialize};

use crate::json_text;

/// The format of stored jobs.
const JOB_FORMAT: u8 = 1;

/// Who asked for an erasure and why, as the audit log names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErasureOrigin {
    pub(crate) actor: AuditActor,
    pub(crate) tenant: u32,
    /// The reason that the caller gave.
    pub(crate) reason: Option<String>,
    /// The purpose that the caller gave.
    pub(crate) purpose: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// An erasure that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErasureJob {
    pub(crate) user: UserId,
    /// The slot of the user's key.
    pub(crate) row: RowId,
    /// The generation that is to end.
    pub(crate) generation: u32,
    pub(crate) reason: ErasureReason,
    pub(crate) origin: ErasureOrigin,
    /// When it was asked for, in microseconds since the Unix epoch.
    pub(crate) requested_at: i64,
    pub(crate) stage: JobStage,
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobStage {
    /// The profile is hidden, and is erased at this time, in microseconds since the Unix epoch, unless somebody undoes it.
    Scheduled { due_at: i64 },
    /// The erasure has begun, and is not undone any more.
    Running(RunningErasure),
}

/// What an erasure that has begun must not forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunningErasure {
    pub(crate) nonce: [u8; 32],
    /// The signed tree head before the audit entry.
    pub(crate) tree_head_before: String,
    /// What remains of the user; `None` until that is known to be durable.
    pub(crate) tombstone: Option<Tombstone>,
}

/// A job that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored erasure cannot be read: use the release that stored it, or a newer one")]
pub(crate) struct InvalidJob;

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredJob {
    format: u8,
    user: String,
    slot: u32,
    generation: u32,
    reason: String,
    actor: StoredActor,
    tenant: u32,
    access_reason: Option<String>,
    purpose: Option<String>,
    request_id: Option<String>,
    requested_at: i64,
    due_at: Option<i64>,
    running: Option<StoredRunning>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRunning {
    nonce: String,
    tree_head_before: String,
    tombstone: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredActor {
    System,
    Anonymous,
    Citizen(String),
    Caller(String),
}

impl ErasureJob {
    /// Returns when a scheduled erasure begins; `None` if it has begun.
    pub(crate) fn due_at(&self) -> Option<i64> {
        match self.stage {
            JobStage::Scheduled { due_at } => Some(due_at),
            JobStage::Running(_) => None,
        }
    }

    /// Returns whether nobody may read the profile for the sake of the job: later the tombstone answers.
    pub(super) fn hides(&self) -> bool {
        match &self.stage {
            JobStage::Scheduled { .. } => true,
            JobStage::Running(running) => running.tombstone.is_none(),
        }
    }

    /// Returns the stored form.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { user, row, generation, reason, origin, requested_at, stage } = self;
        let (due_at, running) = match stage {
            JobStage::Scheduled { due_at } => (Some(*due_at), None),
            JobStage::Running(running) => (None, Some(StoredRunning::from(running))),
        };
        let actor = match &origin.actor {
            AuditActor::System => StoredActor::System,
            AuditActor::Anonymous => StoredActor::Anonymous,
            AuditActor::Citizen(citizen) => StoredActor::Citizen(citizen.as_str().to_owned()),
            AuditActor::Caller(name) => StoredActor::Caller(name.to_string()),
        };
        json_text::to_bytes(&StoredJob {
            format: JOB_FORMAT,
            user: user.as_str().to_owned(),
            slot: row.0,
            generation: *generation,
            reason: reason.name().to_owned(),
            actor,
            tenant: origin.tenant,
            access_reason: origin.reason.clone(),
            purpose: origin.purpose.clone(),
            request_id: origin.request_id.clone(),
            requested_at: *requested_at,
            due_at,
            running,
        })
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidJob> {
        let stored: StoredJob = serde_json::from_slice(bytes).map_err(|_| InvalidJob)?;
        if stored.format != JOB_FORMAT {
            return Err(InvalidJob);
        }
        let user_id = |text: &str| UserId::parse(text).map_err(|_| InvalidJob);
        let actor = match stored.actor {
            StoredActor::System => AuditActor::System,
            StoredActor::Anonymous => AuditActor::Anonymous,
            StoredActor::Citizen(citizen) => AuditActor::Citizen(user_id(&citizen)?),
            StoredActor::Caller(name) => AuditActor::Caller(name.into()),
        };
        let stage = match (stored.due_at, stored.running) {
            (Some(due_at), None) => JobStage::Scheduled { due_at },
            (None, Some(running)) => JobStage::Running(running.read(stored.generation).ok_or(InvalidJob)?),
            _ => return Err(InvalidJob),
        };
        Ok(Self {
            user: user_id(&stored.user)?,
            row: RowId(stored.slot),
            generation: stored.generation,
            reason: ErasureReason::parse(&stored.reason).ok_or(InvalidJob)?,
            origin: ErasureOrigin {
                actor,
                tenant: stored.tenant,
                reason: stored.access_reason,
                purpose: stored.purpose,
                request_id: stored.request_id,
            },
            requested_at: stored.requested_at,
            stage,
        })
    }
}

impl From<&RunningErasure> for StoredRunning {
    fn from(running: &RunningErasure) -> Self {
        Self {
            nonce: hex::encode(running.nonce),
            tree_head_before: running.tree_head_before.clone(),
            tombstone: running.tombstone.map(|tombstone| hex::encode(tombstone.encode())),
        }
    }
}

impl StoredRunning {
    fn read(self, generation: u32) -> Option<RunningErasure> {
        let mut nonce = [0; 32];
        hex::decode_to_slice(&self.nonce, &mut nonce).ok()?;
        let tombstone = match &self.tombstone {
            None => None,
            Some(text) => {
                let mut bytes = [0; TOMBSTONE_BYTES];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Tombstone::decode(&bytes, generation)?)
            }
        };
        Some(RunningErasure { nonce, tree_head_before: self.tree_head_before, tombstone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_every_stage_read_back_and_others_do_not() {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let (erased_at, last_revision, last_sequence) = (7, 8, 9);
        let reason = ErasureReason::Citizen;
        let tombstone = Tombstone { generation: 3, erased_at, reason, last_revision, last_sequence, was_shared: true };
        let running = |tombstone| {
            JobStage::Running(RunningErasure { nonce: [5; 32], tree_head_before: "{\"size\":1}".to_owned(), tombstone })
        };
        let stages = [JobStage::Scheduled { due_at: 12 }, running(None), running(Some(tombstone))];
        let actors = [AuditActor::System, AuditActor::Citizen(user), AuditActor::Caller("adm:a".into())];
        for (stage, actor) in stages.into_iter().zip(actors) {
            let request_id = Some("r".to_owned());
            let origin = ErasureOrigin { actor, tenant: 1, reason: None, purpose: Some("p".to_owned()), request_id };
            let job = ErasureJob { user, row: RowId(4), generation: 3, reason, origin, requested_at: 2, stage };
            let bytes = job.to_bytes();
            assert_eq!(ErasureJob::from_bytes(&bytes).ok(), Some(job));
            let later = String::from_utf8(bytes).expect("JSON").replace("\"format\":1", "\"format\":2");
            assert!(ErasureJob::from_bytes(later.as_bytes()).is_err());
        }
        assert!(ErasureJob::from_bytes(b"{}").is_err());
    }
}
