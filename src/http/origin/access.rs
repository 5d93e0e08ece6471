//! `GET /api/v2/profile/{user_id}/access`: what the caller may see, and for each masked field why not. It is about the
//! mask alone: whether the profile has a field makes no difference.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::reading::ReadAccess;
use serde_json::json;

use crate::http::audit::Disclosed;
use crate::http::problem::Problem;
use crate::http::read_state::ProfileReadState;
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;

/// Answers with the fields that the caller may see, and with those that it may not.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    let viewer = &context.caller.viewer;
    let read = state.profiles.read(context.user()?, viewer, ReadAccess);
    let access = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed { generation: Some(access.generation), ..Disclosed::NOTHING });
    let (mut fields, mut masked) = (Vec::new(), Vec::new());
    for (leaf, why) in access.leaves {
        let path = leaf.field().path;
        match why {
            None => fields.push(path),
            Some(why) => masked.push(json!({ "path": path, "why": why.name() })),
        }
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(json!({ "fields": fields, "masked": masked })))
}
