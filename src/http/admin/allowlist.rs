//! `/admin/allowlist`: callers and addresses that the rate limits do not apply to.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::AdminState;
use super::subject;
use crate::http::credential_state::{blocking, storage_failed};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::limits::{AllowlistEntry, AllowlistError, AllowlistSubject};
use crate::http::request::parameter::{ALLOWLIST_ADDRESS, ALLOWLIST_CALLER};
use crate::http::request::query;

const SHAPE: &str =
    "the body must be a JSON object with `caller` or `address`, a `reason`, and `expires_at` in RFC 3339";
/// Maximum length of a reason, in bytes.
const MAX_REASON: usize = 1_024;

/// The body of a new entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    caller: Option<String>,
    address: Option<String>,
    reason: String,
    expires_at: String,
}

/// Lists the entries that have not expired.
pub(in crate::http) async fn get(_: &RequestContext, state: Data<AdminState>) -> Result<HttpResponse, Problem> {
    let limits = Arc::clone(&state.limits);
    // There may be many, and each is parsed.
    let items = blocking(move || limits.allowlist().entries().iter().map(listed).collect::<Vec<Value>>()).await?;
    Ok(HttpResponse::Ok().json(json!({ "items": items })))
}

/// Adds an entry, in place of one for the same caller or address.
pub(in crate::http) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<AdminState>),
) -> Result<HttpResponse, Problem> {
    let NewEntry { caller, address, reason, expires_at } = state.read(context.headers(), payload, SHAPE).await?;
    let subject = subject::parse(context, caller.as_deref(), address.as_deref())?;
    let malformed = || Problem::new(Code::MalformedBody, SHAPE);
    let expires_at = expires_at.parse::<Timestamp>().map_err(|_| malformed())?.as_microsecond();
    if reason.trim().is_empty() || reason.len() > MAX_REASON {
        return Err(malformed());
    }
    if expires_at <= state.limits.allowlist().now_micros() {
        return Err(Problem::new(Code::InvalidParameter, "`expires_at` must be in the future"));
    }
    context.record_write().await?;
    let entry = AllowlistEntry { subject, reason, added_by: context.caller.subject().to_owned(), expires_at };
    let (limits, answer) = (Arc::clone(&state.limits), listed(&entry));
    let add = move || limits.allowlist().add(&entry).inspect(|()| limits.upkeep());
    blocking(add).await?.map_err(|error| match error {
        AllowlistError::Full => Problem::new(Code::Invalid, error.to_string()),
        AllowlistError::Registry(error) => storage_failed(&error),
    })?;
    Ok(HttpResponse::Created().json(answer))
}

/// Removes the entry of the caller or address that the query names.
pub(in crate::http) async fn delete(
    context: &RequestContext,
    state: Data<AdminState>,
) -> Result<HttpResponse, Problem> {
    let (caller, address) =
        (query::single(context.query(), &ALLOWLIST_CALLER)?, query::single(context.query(), &ALLOWLIST_ADDRESS)?);
    let subject = subject::parse(context, caller.as_deref(), address.as_deref())?;
    context.record_write().await?;
    let limits = Arc::clone(&state.limits);
    let remove = move || limits.allowlist().remove(&subject).inspect(|_| limits.upkeep());
    let removed = blocking(remove).await?.map_err(|error| storage_failed(&error))?;
    if removed {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::new(Code::UnknownResource, "the allowlist has no such entry"))
    }
}

fn listed(entry: &AllowlistEntry) -> Value {
    let AllowlistEntry { subject, reason, added_by, expires_at } = entry;
    let (name, who) = match subject {
        AllowlistSubject::Caller(subject) => ("caller", subject.clone()),
        AllowlistSubject::Address(network) => ("address", network.to_string()),
    };
    let expires_at = Timestamp::from_microsecond(*expires_at).map(|time| time.to_string()).ok();
    json!({ name: who, "reason": reason, "added_by": added_by, "expires_at": expires_at })
}
