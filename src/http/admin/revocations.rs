//! `POST /admin/revocations`: an administrator revokes a token, all earlier tokens of a subject, or a key.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use domain::port::audit::AuditValue;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::http::credential_state::{CredentialState, blocking, storage_failed};
use crate::http::problem::{Code, Problem};
use crate::http::request::caller::Revocation;
use crate::http::request::context::RequestContext;
use crate::json_object::JsonObject;

/// The action of its entry in the audit log.
pub(crate) const REVOKE_ACTION: &str = "credential.revoke";

/// The body: one of `jti`, `sub` and `kid`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationRequest {
    /// A token or session, by its id.
    jti: Option<String>,
    /// A subject, whose tokens and sessions are revoked.
    sub: Option<String>,
    /// With `sub`: the time until which they were issued, as RFC 3339 writes it; now without it.
    issued_until: Option<String>,
    /// A key, by its id.
    kid: Option<String>,
}

/// Revokes what the body names. When this answers, no request with it is accepted any more, and its streams end.
pub(in crate::http) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<CredentialState>),
) -> Result<HttpResponse, Problem> {
    let body = state.read_json(context.headers(), payload).await?;
    let request: Result<JsonObject<RevocationRequest>, _> = serde_json::from_slice(&body);
    let JsonObject(request) = request.map_err(|_| malformed())?;
    let now = state.access_control.verifier.now_micros();
    let revocation = request.revocation(now).ok_or_else(malformed)?;
    describe(context, &revocation);
    context.record_write().await?;
    let control = &state.access_control;
    let (verifier, sessions) = (Arc::clone(&control.verifier), Arc::clone(&control.sessions));
    let answer = json!(&revocation);
    let revoke = move || {
        verifier.revoke(revocation.clone())?;
        match &revocation {
            Revocation::Subject { subject, .. } => sessions.end_later_ones(subject, now),
            _ => Ok(()),
        }
    };
    blocking(revoke).await?.map_err(|error| storage_failed(&error))?;
    Ok(HttpResponse::Created().json(answer))
}

/// Notes what is revoked, for the entry of the call.
fn describe(context: &RequestContext, revocation: &Revocation) {
    match revocation {
        Revocation::Token { id } => context.concerns("token", id.clone()),
        Revocation::Key { id } => context.concerns("key", id.clone()),
        Revocation::Subject { subject, issued_until } => {
            context.concerns("caller", subject.clone());
            context.note("issued_until", AuditValue::Integer(*issued_until));
        }
    }
}

fn malformed() -> Problem {
    Problem::new(
        Code::MalformedBody,
        "the body must be a JSON object with one of the members `jti`, `sub` and `kid`; `issued_until` may go with `sub`, \
         and is not in the future",
    )
}

impl RevocationRequest {
    /// Returns what is revoked; `None` unless it is one thing. `now` is in microseconds since the Unix epoch.
    fn revocation(self, now: i64) -> Option<Revocation> {
        let until = match self.issued_until.map(|text| text.parse::<Timestamp>()) {
            Some(Ok(until)) => Some(until.as_microsecond()),
            Some(Err(_)) => return None,
            None => None,
        };
        match (self.jti, self.sub, self.kid, until) {
            (Some(id), None, None, None) => Some(Revocation::Token { id }),
            (None, None, Some(id), None) => Some(Revocation::Key { id }),
            (None, Some(subject), None, until) if until.is_none_or(|until| until <= now) => {
                Some(Revocation::Subject { subject, issued_until: until.unwrap_or(now) })
            }
            _ => None,
        }
    }
}
