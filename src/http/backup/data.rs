//! `GET /admin/backup`: a backup of the data as of now, without the keyring.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use domain::port::audit::{AuditLog, AuditValue};
use store::backup::{Backup, BackupError, BackupOptions};

use super::state::BackupState;
use super::stream::{ReadPiece, not_begun, pieces};
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::BYTES_PER_SECOND;
use crate::http::request::query;

/// Minimum rate: a backup that takes for ever is no backup.
const MIN_RATE: u64 = 1_000_000;
/// The header that says about how many bytes follow at most.
const ESTIMATE: &str = "x-estimated-bytes";

/// Streams a backup.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<BackupState>) -> Result<HttpResponse, Problem> {
    let bytes_per_second = rate(context)?;
    if let Some(rate) = bytes_per_second {
        context.note(BYTES_PER_SECOND.name, AuditValue::Integer(i64::try_from(rate).unwrap_or(i64::MAX)));
    }
    context.record_write().await?;
    let (backups, audit, now) = (Arc::clone(&state.backups), Arc::clone(&state.audit), state.clock.now_micros());
    let begin = move || -> Result<(Backup, Arc<dyn AuditLog>), BackupError> {
        audit.flush();
        Ok((backups.begin(BackupOptions { bytes_per_second, now })?, audit))
    };
    let (mut backup, audit) = blocking(begin).await?.map_err(|error| not_begun(&error))?;
    let estimate = backup.estimated_bytes();
    let mut is_flushed = false;
    let read: ReadPiece = Box::new(move || {
        let piece = backup.next_bytes();
        // What was noted while the users were read is in the copy of the log, too.
        if !is_flushed && backup.reads_files() {
            audit.flush();
            is_flushed = true;
        }
        piece
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"profile-server.backup\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((ESTIMATE, estimate.to_string()))
        .streaming(pieces(read, state.expiry(&context.caller))?))
}

fn rate(context: &RequestContext) -> Result<Option<u64>, Problem> {
    let Some(text) = query::single(context.query(), &BYTES_PER_SECOND)? else { return Ok(None) };
    let rate = text.parse().ok().filter(|rate| *rate >= MIN_RATE);
    let invalid = || {
        let detail = format!("`{}` must be a whole number of at least {MIN_RATE}", BYTES_PER_SECOND.name);
        Problem::new(Code::InvalidParameter, detail)
    };
    rate.map(Some).ok_or_else(invalid)
}
