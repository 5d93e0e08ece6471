//! Listing and inspecting.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::day::format_instant;
use domain::id::UserId;
use serde_json::{Value, json};
use store::{InspectedFrame, ListedUser, UserKey};

use super::state::{QuarantineState, key};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::page::page;
use crate::http::request::parameter::QUARANTINED_USER;
use crate::http::request::query;

/// Answers with a page of the users in quarantine, or with the one that is asked for, if it is there.
pub(in crate::http) async fn list(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = page(context.query(), UserKey::parse)?;
    if let Some(given) = query::single(context.query(), &QUARANTINED_USER)? {
        let invalid = |_| Problem::new(Code::InvalidParameter, "`user` must be a user id");
        let user = UserId::parse(&given).map_err(invalid)?;
        context.set_user(user);
        let found = state.with(move |quarantine| Ok(quarantine.listed(quarantine.key_of(&user))?)).await?;
        let items: Vec<Value> = found.iter().map(listed).collect();
        return Ok(super::no_store().json(json!({ "items": items, "next_cursor": null })));
    }
    let page = state.with(move |quarantine| Ok(quarantine.page(after, limit)?)).await?;
    let items: Vec<Value> = page.users.iter().map(listed).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(super::no_store().json(json!({ "items": items, "next_cursor": next })))
}

/// Answers with the frames of a user.
pub(in crate::http) async fn inspect(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    let key = key(context)?;
    context.concerns("user_key", key.to_string());
    let inspected = state.with(move |quarantine| quarantine.inspect(key)).await?;
    let mut answer = listed(&inspected.listed);
    answer["state_sequence"] = json!(inspected.state_sequence);
    answer["items"] = inspected.frames.iter().map(frame).collect();
    answer["has_more"] = json!(inspected.has_more);
    Ok(super::no_store().json(answer))
}

fn listed(user: &ListedUser) -> Value {
    let (slot, generation) = user.slot.unzip();
    json!({
        "key": user.key.to_string(),
        "frames": user.frames,
        "bytes": user.bytes,
        "first_sequence": user.first_sequence,
        "last_sequence": user.last_sequence,
        "slot": slot,
        "generation": generation,
        "reason": user.reason.map(|reason| reason.name()),
        "message": user.message,
        "since": user.since.map(format_instant),
    })
}

fn frame(frame: &InspectedFrame) -> Value {
    let InspectedFrame { sequence, kind, bytes, opens, folds } = *frame;
    json!({ "sequence": sequence, "kind": kind, "bytes": bytes, "opens": opens, "folds": folds })
}
