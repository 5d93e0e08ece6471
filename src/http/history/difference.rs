//! `GET …/delta?since=` and `GET …/diff?from=&to=`: what changed in a profile between two points.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actors::history::{Difference, HistoryPoint};
use domain::day::format_instant;

use super::fault::past;
use super::{audited, point};
use crate::http::audit::Disclosed;
use crate::http::problem::Problem;
use crate::http::read_state::ProfileReadState;
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::headers::accept::{self, ServedType};
use crate::http::request::parameter::{FROM_POINT, SINCE, TO_POINT};
use crate::http::request::schema_version;

const DOCUMENT: ServedType = ServedType::new("application/json");
const PATCH: ServedType = ServedType::new("application/json-patch+json");
const SERVED: &[&str] = &["application/json", "application/json-patch+json"];

/// Answers with the difference from a point to the newest revision.
pub(in crate::http) async fn delta(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    let since = point::required(context.query(), &SINCE)?;
    answer(context, &state, since, None).await
}

/// Answers with the difference between two points. The second may be the earlier one.
pub(in crate::http) async fn diff(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    let from = point::required(context.query(), &FROM_POINT)?;
    let to = point::required(context.query(), &TO_POINT)?;
    answer(context, &state, from, Some(to)).await
}

async fn answer(
    context: &RequestContext,
    state: &ProfileReadState,
    from: HistoryPoint,
    to: Option<HistoryPoint>,
) -> Result<HttpResponse, Problem> {
    let schema = schema_version::negotiate_version(context.query())?;
    let is_patch = wants_patch(context.headers())?;
    let viewer = &context.caller.viewer;
    let read = state.profiles.difference(context.user()?, viewer, schema, (from, to));
    let difference = past(read_within(state.request_timeout, viewer, read).await?)?;
    context.disclose(Disclosed::new(difference.leaves, difference.generation));
    context.note("base_revision", audited(difference.base_revision));
    context.note("revision", audited(difference.revision));
    let (kind, body) = match is_patch {
        true => ("application/json-patch+json", difference.operations),
        false => ("application/json", document(&difference)),
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(kind)));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")));
    for header in schema_version::deprecation(schema) {
        answer.insert_header(header);
    }
    answer.insert_header((header::VARY, HeaderValue::from_static("Accept, Accept-Encoding, Authorization")));
    Ok(answer.body(body))
}

/// Returns whether the client prefers the bare list of operations.
fn wants_patch(headers: &HeaderMap) -> Result<bool, Problem> {
    accept::choose(headers, &[DOCUMENT, PATCH])
        .map(|index| index == 1)
        .ok_or_else(|| Problem::not_acceptable("`served` lists the forms of a difference", SERVED))
}

fn document(difference: &Difference) -> String {
    let Difference { profile_id, patch_id, base_revision, revision, operations, .. } = difference;
    let schema_version = difference.schema.name();
    let generated_at = format_instant(difference.generated_at);
    format!(
        r#"{{"base_revision":{base_revision},"generated_at":"{generated_at}","operations":{operations},"patch_id":"{patch_id}","profile_id":"{profile_id}","revision":{revision},"schema_version":"{schema_version}"}}"#
    )
}
