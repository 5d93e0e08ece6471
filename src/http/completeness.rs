//! `GET /api/v2/profile/{user_id}/completeness`: what is there, what is missing, as far as this caller may see.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::Completeness;
use serde_json::{Value, json};

use super::access_reason::AccessReason;
use super::caller;
use super::door::Door;
use super::problem::Problem;
use super::profile::{check_sight, user_id, within};

pub(super) async fn get(request: HttpRequest, door: Data<Door>) -> Result<HttpResponse, Problem> {
    let caller = caller::authenticate(&door.verifier, request.headers())?;
    let user = user_id(&request)?;
    check_sight(&caller, &user)?;
    AccessReason::of(&caller, request.headers())?.record(&caller, "read completeness", &user);
    let completeness = within(&door, &caller.viewer, door.profiles.completeness(user, &caller.viewer)).await?;
    let cache_control = (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(HttpResponse::Ok().insert_header(cache_control).json(answer(&completeness)))
}

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
