//! `GET /api/v2/profile/{user_id}/completeness`: which of the fields that the caller may see are filled, and which are
//! missing.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::reading::{Completeness, ReadCompleteness};
use serde_json::{Value, json};

use super::problem::Problem;
use super::read_state::ProfileReadState;
use super::request::access::{check_visibility, read_within, user_id};
use super::request::access_reason::AccessReason;
use super::request::caller;

/// Answers with the completeness of the sections that the caller may see.
pub(super) async fn get(request: HttpRequest, state: Data<ProfileReadState>) -> Result<HttpResponse, Problem> {
    let caller = caller::authenticate(&state.verifier, request.headers())?;
    let user = user_id(&request)?;
    check_visibility(&caller, &user)?;
    AccessReason::from_headers(&caller, request.headers())?.record(&caller, "read completeness", &user);
    let read = state.profiles.read(user, &caller.viewer, ReadCompleteness);
    let completeness = read_within(state.request_timeout, &caller.viewer, read).await?;
    let cache_control = (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(HttpResponse::Ok().insert_header(cache_control).json(answer(&completeness)))
}

/// Writes the completeness as JSON.
fn answer(completeness: &Completeness) -> Value {
    let sections: serde_json::Map<_, _> =
        completeness.sections.iter().map(|(member, pct)| (member.name().to_owned(), json!({"pct": pct}))).collect();
    let missing: Vec<_> = completeness
        .missing
        .iter()
        .map(|field| {
            json!({
                "path": field.leaf.field().path,
                "importance": field.importance.name(),
                "reason": field.reason,
                "schemes_waiting": field.schemes_waiting,
            })
        })
        .collect();
    json!({"revision": completeness.revision, "pct": completeness.pct, "sections": sections, "missing_fields": missing})
}
