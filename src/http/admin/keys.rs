//! `/admin/keys`: how old keys are, and their rotation.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use domain::port::audit::AuditValue;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::KeyRotationError;

use super::state::AdminState;
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::key_ages::{AgedKey, KeyAges};
use crate::key_rotations::{FinishedRotation, KeyRotations, RotatedKey, RotationError};

const SHAPE: &str = "the body must be a JSON object with `key`, which is `master` or `ring`";

/// The body of a rotation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationRequest {
    key: RotatedKey,
}

/// Lists the keys and credentials with their ages, and says how far a rotation is.
pub(in crate::http) async fn get(_: &RequestContext, state: Data<AdminState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(status(&state).await?))
}

/// Rotates the master key and answers then, or starts a rotation of the ring key.
pub(in crate::http) async fn rotate(
    context: &RequestContext,
    (payload, state): (Payload, Data<AdminState>),
) -> Result<HttpResponse, Problem> {
    let RotationRequest { key } = state.read(context.headers(), payload, SHAPE).await?;
    context.note("key", AuditValue::Text(key.name().into()));
    context.record_write().await?;
    let rotations = Arc::clone(&state.key_rotations);
    let rotate = move || match key {
        RotatedKey::Master => rotations.rotate_master().map(drop),
        RotatedKey::Ring => rotations.start_ring(),
    };
    blocking(rotate).await?.map_err(|error| refused(&error))?;
    let answer = status(&state).await?;
    Ok(match key {
        RotatedKey::Master => HttpResponse::Ok().json(answer),
        RotatedKey::Ring => HttpResponse::Accepted().json(answer),
    })
}

async fn status(state: &AdminState) -> Result<Value, Problem> {
    let (ages, rotations) = (Arc::clone(&state.key_ages), Arc::clone(&state.key_rotations));
    blocking(move || render(&ages, &rotations)).await
}

fn render(ages: &KeyAges, rotations: &KeyRotations) -> Value {
    let now = ages.now_micros();
    let keys: Vec<Value> = ages.list().iter().map(|key| listed(key, now)).collect();
    let progress = rotations.status().rotation;
    json!({
        "keys": keys,
        "rotation": progress.map(|progress| json!({ "key": "ring", "done": progress.done, "total": progress.total })),
        "last_rotation": rotations.last().map(|last| finished(&last)),
    })
}

fn listed(key: &AgedKey, now: i64) -> Value {
    let mut listed = json!({
        "key": key.kind,
        "since": key.since.and_then(time),
        "age_s": key.age(now).map(|age| age / 1_000_000),
        "warn_at_s": key.limit.as_secs(),
        "is_due": key.is_due(now),
    });
    if let Some(version) = key.version {
        listed["version"] = json!(version);
    }
    if !key.id.is_empty() {
        listed["id"] = json!(key.id);
    }
    listed
}

fn finished(last: &FinishedRotation) -> Value {
    let ended_at = time(last.ended_at);
    match &last.outcome {
        Ok(rotation) => json!({
            "key": "ring",
            "ended_at": ended_at,
            "version": rotation.number,
            "wrapped_keys": rotation.keys,
            "damaged_slots": rotation.damaged,
        }),
        Err(error) => json!({ "key": "ring", "ended_at": ended_at, "error": error }),
    }
}

/// Returns a time as RFC 3339 writes it.
fn time(micros: i64) -> Option<String> {
    Timestamp::from_microsecond(micros).map(|time| time.to_string()).ok()
}

/// Returns the problem of a rotation that did not take place. What is wrong with a file or command is in the log only.
fn refused(error: &RotationError) -> Problem {
    match error {
        RotationError::Store(busy @ KeyRotationError::Busy) => Problem::new(Code::Busy, busy.to_string()),
        RotationError::Store(stopped @ KeyRotationError::Stopped) => {
            Problem::new(Code::Unavailable, stopped.to_string())
        }
        RotationError::Store(same @ KeyRotationError::NoNewerVersion { .. }) => {
            Problem::new(Code::Invalid, same.to_string())
        }
        RotationError::Provider(none @ config::ConfigError::NoNewMasterKey) => {
            Problem::new(Code::Invalid, none.to_string())
        }
        other => {
            tracing::error!(error = %other, "keys could not be rotated");
            Problem::new(Code::Unavailable, "keys could not be rotated: the log says why")
        }
    }
}
