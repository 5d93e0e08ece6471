//! `POST /admin/quarantine/{key}/restore`: a user goes on from what a backup has of it, which is the body of the request.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use domain::day::format_instant;
use domain::port::audit::AuditValue;
use serde_json::json;
use store::backup::{BackedUpUser, MAX_USER_BYTES};
use store::{Quarantine, QuarantineError, ReleasedUser};
use tokio::sync::OwnedSemaphorePermit;

use super::changes::{change_stored, released};
use super::state::{QuarantineState, key};
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::{ACCEPT_LOSS, DRY_RUN, Parameter};
use crate::http::request::{body, headers, query};

/// The media type of the body, which `store::backup::BackedUpUser` describes.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Puts what a backup has of a user in place of what the store has.
pub(in crate::http) async fn restore(
    context: &RequestContext,
    (payload, state): (Payload, Data<QuarantineState>),
) -> Result<HttpResponse, Problem> {
    let key = key(context)?;
    context.concerns("user_key", key.to_string());
    let (is_dry_run, may_lose) = (flag(context, &DRY_RUN)?, flag(context, &ACCEPT_LOSS)?);
    // Asked before the body is read, which may be large.
    state.with(move |quarantine| quarantine.user(key)).await?;
    let (backed_up, turn) = read(context, payload, &state).await?;
    let backed_up = Arc::new(backed_up);
    let given = Arc::clone(&backed_up);
    let checked = state.with(move |quarantine| quarantine.check_restore(key, &given)).await?;
    let ReleasedUser { user, lost, .. } = checked;
    context.set_user(user);
    let backup_time = format_instant(backed_up.backup_time());
    context.note("backup_time", AuditValue::Text(backup_time.clone().into()));
    context.note("lost", AuditValue::Integer(i64::try_from(lost).unwrap_or(i64::MAX)));
    if is_dry_run {
        context.note("dry_run", AuditValue::Bool(true));
    } else if lost > 0 && !may_lose {
        return Err(QuarantineError::WouldLose { lost }.into());
    }
    context.record_write().await?;
    let mut done = checked;
    if !is_dry_run {
        let given = Arc::clone(&backed_up);
        let restore = move |quarantine: &Quarantine| {
            let _turn = turn;
            quarantine.restore(key, &given, may_lose)
        };
        done = change_stored(state, Some(user), restore).await?;
    }
    let mut answer = released(key, &done);
    answer["backup_time"] = json!(backup_time);
    answer["backup_sequence"] = json!(done.sequence - done.folded - done.lost);
    answer["dry_run"] = json!(is_dry_run);
    Ok(super::no_store().json(answer))
}

/// Reads the body and takes the turn, which one restore has at a time: it holds a few times as much as its body in memory.
async fn read(
    context: &RequestContext,
    payload: Payload,
    state: &QuarantineState,
) -> Result<(BackedUpUser, OwnedSemaphorePermit), Problem> {
    if !headers::content_type(context.headers())?.is(MEDIA_TYPE) {
        return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/octet-stream"));
    }
    let limits = state.credentials.limits_of_backup(MAX_USER_BYTES, "what a backup has of a user has at most 32 MiB");
    let body = body::read(context.headers(), payload, limits).await?;
    let malformed =
        |error| Problem::new(Code::MalformedBody, format!("this is not what a backup has of a user: {error}"));
    let busy = |_| Problem::new(Code::Busy, "another user goes on from a backup now: try again");
    let turn = Arc::clone(&state.restores).try_acquire_owned().map_err(busy)?;
    let user = blocking(move || BackedUpUser::decode(&body)).await?.map_err(malformed)?;
    Ok((user, turn))
}

fn flag(context: &RequestContext, parameter: &Parameter) -> Result<bool, Problem> {
    match query::single(context.query(), parameter)?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let detail = format!("`{}` must be `true` or `false`", parameter.name);
            Err(Problem::new(Code::InvalidParameter, detail))
        }
    }
}
