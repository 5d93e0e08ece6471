//! Listing snapshots, and reading one.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use serde_json::{Value, json};

use super::state::{SnapshotState, snapshot_id};
use super::{cursor, render};
use crate::http::audit::Disclosed;
use crate::http::problem::Problem;
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::page::page;
use crate::json_text;

const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Answers with a page of snapshots, the newest first.
pub(in crate::http) async fn list(
    context: &RequestContext,
    state: Data<SnapshotState>,
) -> Result<HttpResponse, Problem> {
    let page = page(context.query(), cursor::decode)?;
    let caller = &context.caller;
    let read = state.profiles.snapshots(context.user()?, &caller.viewer, page, caller.sees_serving());
    let page = read_within(state.request_timeout, &caller.viewer, read).await?;
    context.disclose(Disclosed::new(page.leaves, page.generation));
    let items: Vec<Value> = page.items.iter().map(render::snapshot).collect();
    let mut answer = json!({"items": items});
    if let Some(next) = page.next {
        answer["next_cursor"] = json!(cursor::encode(next));
    }
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).json(answer))
}

/// Answers with a snapshot, and with the profile at its revision.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<SnapshotState>,
) -> Result<HttpResponse, Problem> {
    let (id, caller) = (snapshot_id(context)?, &context.caller);
    let read = state.profiles.snapshot(context.user()?, &caller.viewer, id, caller.sees_serving());
    let read = state.within(&caller.viewer, read).await?;
    context.disclose(Disclosed::new(read.leaves, read.generation));
    let members = json_text::members(&render::snapshot(&read.snapshot));
    let profile = read.profile.unwrap_or_default();
    // The profile stands as its bytes are, in canonical form.
    let body = [b"{".as_slice(), members.as_bytes(), b",\"profile\":", &profile, b"}"].concat();
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).insert_header(content_type).body(body))
}
