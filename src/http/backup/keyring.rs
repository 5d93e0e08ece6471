//! `POST /admin/keyring-backup`: a backup of the keyring, which may be kept until a time. From then on the receipts of
//! erasures state that time.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use bytes::Bytes;
use domain::port::audit::AuditValue;
use jiff::Timestamp;
use serde::Deserialize;

use super::state::BackupState;
use super::stream::{ReadPiece, ended_early, not_begun, pieces};
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::json_object::JsonObject;

const SHAPE: &str = "the body must be a JSON object with `keep_until` in RFC 3339";
/// Maximum time that a backup of the keyring may be kept: until its end, erased users are not erased for whoever has it.
const MAX_KEPT_MICROS: i64 = 35 * 24 * 3600 * 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringBackupRequest {
    keep_until: String,
}

/// Streams a backup of the keyring. Its keys are wrapped by the master key.
pub(in crate::http) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<BackupState>),
) -> Result<HttpResponse, Problem> {
    let malformed = || Problem::new(Code::MalformedBody, SHAPE);
    let body = state.credentials.read_json(context.headers(), payload).await?;
    let request: Result<JsonObject<KeyringBackupRequest>, _> = serde_json::from_slice(&body);
    let JsonObject(KeyringBackupRequest { keep_until }) = request.map_err(|_| malformed())?;
    let until = keep_until.parse::<Timestamp>().map_err(|_| malformed())?.as_microsecond();
    // Before its entry is written: a log with that entry is not older than the backup.
    let now = state.clock.now_micros();
    if until <= now || until.saturating_sub(now) > MAX_KEPT_MICROS {
        let detail = "`keep_until` must be in the future, and at most 35 days from now";
        return Err(Problem::new(Code::InvalidParameter, detail));
    }
    context.note("keep_until", AuditValue::Text(keep_until.into()));
    context.record_write().await?;
    let backups = Arc::clone(&state.backups);
    let begun = blocking(move || backups.back_up_keyring(now, until)).await?;
    let mut backup = begun.map_err(|error| not_begun(&error))?;
    let length = backup.bytes();
    let read: ReadPiece = Box::new(move || Ok(backup.next_bytes().map_err(ended_early)?.map(Bytes::from)));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"keyring.backup\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .no_chunking(length)
        .streaming(pieces(read, state.expiry(&context.caller))?))
}
