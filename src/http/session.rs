//! `/api/v2/session`: pages begin a session with a one-time code, list the sessions of their subject, and end one.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::id::UserId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::credential_state::{CredentialState, blocking, storage_failed};
use super::problem::{Code, Problem};
use super::request::caller::{NewSession, SessionError, StoredSession, csrf_token};
use super::request::context::RequestContext;
use super::request::parameter::SESSION_ID;
use super::request::{origin, query};
use super::request_id;
use crate::json_object::JsonObject;

const NO_STORE: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The body of a request that begins a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    code: String,
}

/// Begins a session with a one-time code. Answers with the session, and with the token that its writes must carry; the
/// secret is in the cookie only.
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<CredentialState>,
) -> Result<HttpResponse, Problem> {
    let control = &state.access_control;
    origin::check(&request, &control.cors_origins)?;
    let code = read_code(&state, request.headers(), payload).await?;
    let (sessions, now) = (Arc::clone(&control.sessions), control.verifier.now_micros());
    let begun = blocking(move || sessions.begin(&code, now)).await?;
    let NewSession { secret, stored } = begun.map_err(|error| match error {
        SessionError::Code => control.count_failure(&request, Problem::new(Code::InvalidToken, error.to_string())),
        SessionError::Registry(error) => storage_failed(&error),
    })?;
    if let Err(problem) = control.recorder.session_began(&stored.claims, request_id::of(&request)).await {
        // Nobody has its secret, so it is only cleared away: a failure leaves nothing that could be used.
        let (sessions, claims) = (Arc::clone(&control.sessions), stored.claims);
        let _ = blocking(move || sessions.end(&claims.sub, &claims.jti, now)).await;
        return Err(problem);
    }
    let mut answer = HttpResponse::Created();
    answer.insert_header(NO_STORE).insert_header((header::SET_COOKIE, control.cookie.set(&secret, stored.life())?));
    Ok(answer.json(json!({ "csrf_token": csrf_token(&secret), "session": listed(&stored, true) })))
}

/// Lists the sessions of the caller's subject. A page also gets the token that its writes must carry.
pub(super) async fn get(context: &RequestContext, state: Data<CredentialState>) -> Result<HttpResponse, Problem> {
    let control = &state.access_control;
    let sessions = control.sessions.of_subject(context.caller.subject(), control.verifier.now_micros());
    let current = &context.caller.token.id;
    let items: Vec<_> = sessions.iter().map(|stored| listed(stored, stored.claims.jti == *current)).collect();
    let token = control.cookie.secret(context.headers())?.map(csrf_token);
    Ok(HttpResponse::Ok().insert_header(NO_STORE).json(json!({ "csrf_token": token, "items": items })))
}

/// Ends the session of the request, or the one of the same subject that the parameter `id` names.
pub(super) async fn delete(context: &RequestContext, state: Data<CredentialState>) -> Result<HttpResponse, Problem> {
    let control = &state.access_control;
    let current = context.caller.token.id.as_str();
    let id = query::single(context.query(), &SESSION_ID)?.map_or_else(|| current.to_owned(), |id| id.into_owned());
    let is_current = id == current;
    let (sessions, subject) = (Arc::clone(&control.sessions), context.caller.subject().to_owned());
    let now = control.verifier.now_micros();
    if !sessions.of_subject(&subject, now).iter().any(|stored| stored.claims.jti == id) {
        return Err(Problem::new(Code::UnknownResource, "the caller has no such session"));
    }
    context.concerns("session", id.clone());
    if let Ok(citizen) = UserId::parse(&subject) {
        context.set_user(citizen);
    }
    context.record_write().await?;
    // It may have ended meanwhile, which is what was asked for.
    blocking(move || sessions.end(&subject, &id, now)).await?.map_err(|error| storage_failed(&error))?;
    let mut answer = HttpResponse::NoContent();
    answer.insert_header(NO_STORE);
    if is_current {
        answer.insert_header((header::SET_COOKIE, control.cookie.set("", Duration::ZERO)?));
    }
    Ok(answer.finish())
}

async fn read_code(state: &CredentialState, headers: &HeaderMap, payload: Payload) -> Result<String, Problem> {
    let body = state.read_login(headers, payload).await?;
    let login: Result<JsonObject<Login>, _> = serde_json::from_slice(&body);
    login
        .map(|JsonObject(login)| login.code)
        .map_err(|_| Problem::new(Code::MalformedBody, "the body must be a JSON object with the member `code`"))
}

/// Returns a session as its owner sees it.
fn listed(stored: &StoredSession, is_current: bool) -> Value {
    let time = |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH).to_string();
    let claims = &stored.claims;
    json!({
        "id": claims.jti,
        "sub": claims.sub,
        "role": claims.role,
        "scope": claims.scope,
        "began_at": time(claims.iat.micros()),
        "ends_at": time(claims.exp.micros()),
        "current": is_current,
    })
}
