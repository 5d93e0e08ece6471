//! `POST /admin/passivate`: the actor of a user ends, and the user is loaded again when it is next needed.

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use domain::id::UserId;
use serde::Deserialize;
use serde_json::json;

use super::state::AdminState;
use crate::http::problem::Problem;
use crate::http::request::context::RequestContext;

const SHAPE: &str = "the body must be a JSON object with `user_id`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PassivateRequest {
    user_id: String,
}

/// Passivates a user. An actor with subscribers or with work to do goes on.
pub(in crate::http) async fn passivate(
    context: &RequestContext,
    (payload, state): (Payload, Data<AdminState>),
) -> Result<HttpResponse, Problem> {
    let PassivateRequest { user_id } = state.read(context.headers(), payload, SHAPE).await?;
    let user = UserId::parse(&user_id).map_err(|_| Problem::unknown_user())?;
    context.concerns("user", user_id);
    context.record_write().await?;
    // Whether the user exists is not said: an operator may not see profiles.
    Ok(HttpResponse::Ok().json(json!({ "passivated": state.profiles.passivate(user).await })))
}
