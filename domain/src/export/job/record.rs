//! The stored form of a job, under its id in the registry.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    ExportBackend, ExportJob, ExportJobId, ExportProgress, ExportResult, ExportStage, JobState, LeftOutClasses,
};

/// The form of the record.
const FORM: u8 = 1;

/// The bytes are not a job's record of this release.
#[derive(Debug, thiserror::Error)]
#[error("the stored record of an export job cannot be read")]
pub struct InvalidJobRecord;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobRecord {
    form: u8,
    owner: String,
    request: String,
    created_at: i64,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    /// The stage, the steps done and in all, and the rows scanned, written and left out.
    progress: (String, [u64; 5]),
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultRecord {
    bytes: u64,
    rows_written: u64,
    rows_suppressed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    information_loss_ppm: Option<u64>,
    levels: Map<String, Value>,
    /// Levels and fingerprints of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<(Map<String, Value>, Vec<u64>)>,
    expires_at: i64,
}

impl ExportJob {
    /// Returns the stored form, without the id, which is the key of the entry. A request has at most about 4 KiB, so the form
    /// is well below the bound of a value.
    #[must_use]
    pub fn to_record(&self) -> Vec<u8> {
        let ExportProgress { stage, steps_done, steps, rows_scanned, rows_written, rows_suppressed } = self.progress;
        let record = JobRecord {
            form: FORM,
            owner: self.owner.clone(),
            request: self.request.clone(),
            created_at: self.created_at,
            state: self.state.name().to_owned(),
            started_at: self.started_at,
            ended_at: self.ended_at,
            backend: self.backend.map(|backend| backend.name().to_owned()),
            progress: (stage.name().to_owned(), [steps_done, steps, rows_scanned, rows_written, rows_suppressed]),
            failure: self.failure.clone(),
            result: self.result.clone().map(ResultRecord::from),
        };
        // Strings and integers are always JSON.
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// Returns the job of a stored form.
    ///
    /// # Errors
    /// The bytes have another form.
    pub fn from_record(id: ExportJobId, bytes: &[u8]) -> Result<Self, InvalidJobRecord> {
        let record: JobRecord = serde_json::from_slice(bytes).map_err(|_| InvalidJobRecord)?;
        let (stage, [steps_done, steps, rows_scanned, rows_written, rows_suppressed]) = record.progress;
        // A stage of another release is as good as none: the job does not run any more.
        let stage = ExportStage::parse(&stage).unwrap_or_default();
        let backend = record.backend.map(|name| ExportBackend::parse(&name).ok_or(InvalidJobRecord)).transpose()?;
        if record.form != FORM {
            return Err(InvalidJobRecord);
        }
        Ok(Self {
            id,
            owner: record.owner,
            request: record.request,
            created_at: record.created_at,
            state: JobState::parse(&record.state).ok_or(InvalidJobRecord)?,
            started_at: record.started_at,
            ended_at: record.ended_at,
            backend,
            progress: ExportProgress { stage, steps_done, steps, rows_scanned, rows_written, rows_suppressed },
            failure: record.failure,
            result: record.result.map(ExportResult::from),
        })
    }
}

impl From<ExportResult> for ResultRecord {
    fn from(result: ExportResult) -> Self {
        let ExportResult { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, expires_at } =
            result;
        let left_out = left_out.into_iter().map(|LeftOutClasses { levels, classes }| (levels, classes)).collect();
        Self { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, expires_at }
    }
}

impl From<ResultRecord> for ExportResult {
    fn from(record: ResultRecord) -> Self {
        let ResultRecord { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, expires_at } =
            record;
        let left_out = left_out.into_iter().map(|(levels, classes)| LeftOutClasses { levels, classes }).collect();
        Self { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, expires_at }
    }
}
