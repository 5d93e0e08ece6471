//! `GET /api/v2/profile/{user_id}/integrity`: the members under `profile_hash`, so that a partial view can be verified.
//!
//! A member's hash is SHA-256(salt ‖ canonical value), and the root is the SHA-256 of the canonical object of the hashes.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::reading::ReadIntegrity;
use serde_json::{Map, Value, json};

use crate::http::audit::Disclosed;
use crate::http::problem::{Code, Problem};
use crate::http::read_state::ProfileReadState;
use crate::http::request::access::read_within;
use crate::http::request::caller::{Caller, Role};
use crate::http::request::context::RequestContext;

/// Answers with the hashes of all members, and with the salts of those that the caller sees whole.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    check_caller(&context.caller, &state)?;
    let viewer = &context.caller.viewer;
    let read = state.profiles.read(context.user()?, viewer, ReadIntegrity);
    let integrity = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed::new(integrity.leaves, integrity.generation));
    let members: Map<_, _> = integrity
        .members
        .iter()
        .map(|member| {
            let mut entry = json!({ "hash": hex::encode(member.hash) });
            if let Some(salt) = member.salt {
                entry["salt"] = Value::String(hex::encode(salt));
            }
            (member.name.to_owned(), entry)
        })
        .collect();
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(json!({
        "profile_id": integrity.profile_id,
        "revision": integrity.revision,
        "profile_hash": hex::encode(integrity.profile_hash),
        "members": members,
    })))
}

/// Refuses services that the access table does not name: the hashes tell which members exist and which have changed.
fn check_caller(caller: &Caller, state: &ProfileReadState) -> Result<(), Problem> {
    let is_named = || {
        let name = caller.subject().strip_prefix("svc:");
        name.is_some_and(|name| state.profiles.policy().shows_integrity(name))
    };
    match caller.role {
        Role::SelfCitizen | Role::Admin => Ok(()),
        Role::Service if is_named() => Ok(()),
        _ => Err(Problem::new(Code::Forbidden, "`[integrity]` of the access table does not name this caller")),
    }
}
