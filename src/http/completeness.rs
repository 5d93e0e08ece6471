//! `GET /api/v2/profile/{user_id}/completeness`: which of the fields that the caller may see are filled, and which are
//! missing.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::reading::{Completeness, ReadCompleteness};
use serde_json::{Value, json};

use super::audit::Disclosed;
use super::problem::Problem;
use super::read_state::ProfileReadState;
use super::request::access::read_within;
use super::request::context::RequestContext;

/// Answers with the completeness of the sections that the caller may see.
pub(super) async fn get(context: &RequestContext, state: Data<ProfileReadState>) -> Result<HttpResponse, Problem> {
    let viewer = &context.caller.viewer;
    let read = state.profiles.read(context.user()?, viewer, ReadCompleteness);
    let completeness = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed::new(completeness.leaves, completeness.generation));
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
