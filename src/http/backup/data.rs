//! `GET /admin/backup`: a backup of the data as of now, without the keyring. `GET /admin/backup/{id}` continues one whose
//! connection broke.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use bytes::Bytes;
use domain::port::audit::AuditValue;
use store::backup::{BackupError, BackupOptions};

use super::state::BackupState;
use super::stream::{ReadPiece, ended_early, not_begun, pieces};
use super::transfer::{Connection, NotContinued, Transfer};
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::{BYTES_PER_SECOND, FROM_BYTE};
use crate::http::request::query;

/// Minimum rate: a backup that takes for ever is no backup.
const MIN_RATE: u64 = 1_000_000;
/// The header that says about how many bytes follow at most.
const ESTIMATE: &str = "x-estimated-bytes";
/// The header with the id of the backup, for a client that comes back.
const BACKUP_ID: &str = "x-backup-id";
/// How long a backup without a connection is held for its client. The server keeps old values for it as long, as for a slow
/// client, and within the same bounds.
const HELD: Duration = Duration::from_secs(600);

/// Streams a backup. One that is held for a client ends.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<BackupState>) -> Result<HttpResponse, Problem> {
    let bytes_per_second = rate(context)?;
    if let Some(rate) = bytes_per_second {
        context.note(BYTES_PER_SECOND.name, AuditValue::Integer(i64::try_from(rate).unwrap_or(i64::MAX)));
    }
    context.record_write().await?;
    let options = BackupOptions { bytes_per_second, now: state.clock.now_micros() };
    let parts = Data::clone(&state);
    let (connection, estimate) = blocking(move || begin(&parts, options)).await??;
    send(context, &state, connection, Some(estimate))
}

/// Streams what the client does not have yet of a backup whose connection broke.
pub(in crate::http) async fn continue_one(
    context: &RequestContext,
    state: Data<BackupState>,
) -> Result<HttpResponse, Problem> {
    let from = query::number(context.query(), &FROM_BYTE)?;
    context.note(FROM_BYTE.name, AuditValue::Integer(i64::try_from(from).unwrap_or(i64::MAX)));
    let id = context.request.match_info().query("id");
    let busy = || not_begun(&BackupError::Busy);
    let transfer = state.transfer.try_lock().ok_or_else(busy)?.clone().filter(|transfer| transfer.id() == id);
    let transfer = transfer.ok_or_else(|| not_continued(&NotContinued::Ended))?;
    context.record_write().await?;
    let connection = blocking(move || transfer.connect(from)).await?.map_err(|refusal| not_continued(&refusal))?;
    send(context, &state, connection, None)
}

/// Begins a backup, and returns its first connection and its estimated size in bytes.
fn begin(state: &BackupState, options: BackupOptions) -> Result<(Connection, u64), Problem> {
    let busy = || not_begun(&BackupError::Busy);
    let mut current = state.transfer.try_lock().ok_or_else(busy)?;
    if current.as_ref().is_some_and(|earlier| !earlier.end_if_idle()) {
        return Err(busy());
    }
    let audit = Arc::clone(&state.audit);
    audit.flush();
    let mut backup = state.backups.begin(options).map_err(|error| not_begun(&error))?;
    let (id, estimate) = (backup.id(), backup.estimated_bytes());
    let mut is_flushed = false;
    let read: ReadPiece = Box::new(move || {
        let piece = backup.next_bytes().map_err(ended_early)?;
        // What was noted while the users were read is in the copy of the log, too.
        if !is_flushed && backup.reads_files() {
            audit.flush();
            is_flushed = true;
        }
        Ok(piece.map(Bytes::from))
    });
    let transfer = Transfer::new(format!("{id:032x}"), read);
    let connection = transfer.connect(0).map_err(|refusal| not_continued(&refusal))?;
    let (held, closing) = (Arc::clone(&transfer), state.closing.clone());
    let holder = thread::Builder::new().name("backup held".to_owned()).spawn(move || held.hold(HELD, &closing));
    holder.map_err(|_| Problem::new(Code::Unavailable, "the backup could not be started: try again"))?;
    *current = Some(transfer);
    Ok((connection, estimate))
}

/// Answers with what a connection of a transfer takes.
fn send(
    context: &RequestContext,
    state: &BackupState,
    mut connection: Connection,
    estimate: Option<u64>,
) -> Result<HttpResponse, Problem> {
    let id = connection.backup_id().to_owned();
    let pieces = pieces(Box::new(move || connection.next_piece()), state.expiry(&context.caller))?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"profile-server.backup\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((BACKUP_ID, id));
    if let Some(estimate) = estimate {
        answer.insert_header((ESTIMATE, estimate.to_string()));
    }
    Ok(answer.streaming(pieces))
}

fn not_continued(refusal: &NotContinued) -> Problem {
    match refusal {
        NotContinued::Ended => {
            Problem::new(Code::UnknownResource, "this backup has ended, or there is none with this id: make a new one")
        }
        NotContinued::NotKept(there) => {
            let (least, most) = (there.start(), there.end());
            let detail = format!("`{}` must be from {least} to {most}: otherwise make a new backup", FROM_BYTE.name);
            Problem::new(Code::InvalidParameter, detail)
        }
    }
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
