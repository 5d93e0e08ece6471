//! `GET` and `HEAD /api/v2/profile/{user_id}`: the profile as the caller may see it.
//!
//! A cache hit allocates little more than the headers of the response: the body shares the bytes of the cache.

use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, HttpResponseBuilder};
use actors::View;
use actors::history::HistoryPoint;
use actors::reading::{ContentCoding, ReadProvenance, ViewWithProvenance};
use bytes::Bytes;
use domain::pipeline::serialize;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;

use super::audit::Disclosed;
use super::history;
use super::origin;
use super::problem::Problem;
use super::read_state::ProfileReadState;
use super::request::access::read_within;
use super::request::caller::Caller;
use super::request::conditional::{self, EntityTag, Representation};
use super::request::context::RequestContext;
use super::request::parameter::FIELDS;
use super::request::{content_coding, include, query, schema_version};

static X_PROFILE_REVISION: HeaderName = HeaderName::from_static("x-profile-revision");
static X_CACHE: HeaderName = HeaderName::from_static("x-cache");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization");
const HIT: HeaderValue = HeaderValue::from_static("hit");
const MISS: HeaderValue = HeaderValue::from_static("miss");

/// Answers with the caller's view of the profile, or with 304 if the caller has it already.
pub(super) async fn get(context: &RequestContext, state: Data<ProfileReadState>) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let (caller, headers) = (&*context.caller, context.headers());
    let schema = schema_version::negotiate(headers, context.query())?;
    let fields = query::list(context.query(), &FIELDS).map(|names| serialize::parse_fields(&names, schema));
    let past = history::of_view(context.query())?;
    if include::asks_for_provenance(context.query())? {
        // Boxed, so that reads without it do not carry its state.
        return Box::pin(get_with_provenance(context, &state, (schema, fields, past), started)).await;
    }
    let view = match past {
        None => {
            let read = state.profiles.view(context.user()?, &caller.viewer, schema);
            read_within(state.request_timeout, &caller.viewer, read).await?
        }
        // Boxed, so that reads of the newest revision do not carry its state.
        Some(point) => Box::pin(read_past(context, &state, schema, point)).await?,
    };
    let leaves = fields.map_or(view.class.leaves(), |fields| fields.and(view.class.leaves()));
    context.disclose(Disclosed::new(leaves, view.generation));
    Ok(answer(state.epoch, caller, headers, &view, fields, started))
}

/// Returns the caller's view of an earlier revision.
async fn read_past(
    context: &RequestContext,
    state: &ProfileReadState,
    schema: SchemaVersion,
    point: HistoryPoint,
) -> Result<View, Problem> {
    let viewer = &context.caller.viewer;
    let read = state.profiles.view_at(context.user()?, viewer, schema, point);
    let view = history::past(read_within(state.request_timeout, viewer, read).await?)?;
    context.note("revision", history::audited(view.revision));
    Ok(view)
}

/// Answers with the view, and with the source of each value that it shows. A source can change without a new revision, so
/// the answer has no entity tag.
async fn get_with_provenance(
    context: &RequestContext,
    state: &ProfileReadState,
    (schema, fields, past): (SchemaVersion, Option<LeafSet>, Option<HistoryPoint>),
    started: Instant,
) -> Result<HttpResponse, Problem> {
    let caller = &*context.caller;
    let reading = ReadProvenance { schema, leaves: fields.unwrap_or(LeafSet::ALL) };
    let ViewWithProvenance { view, provenance } = match past {
        None => {
            let read = state.profiles.read(context.user()?, &caller.viewer, reading);
            read_within(state.request_timeout, &caller.viewer, read).await?
        }
        Some(point) => {
            let read = state.profiles.provenance_at(context.user()?, &caller.viewer, reading, point);
            let past = history::past(read_within(state.request_timeout, &caller.viewer, read).await?)?;
            context.note("revision", history::audited(past.view.revision));
            past
        }
    };
    let leaves = fields.map_or(view.class.leaves(), |fields| fields.and(view.class.leaves()));
    context.disclose(Disclosed::new(leaves, view.generation));
    let cache_hit = caller.sees_serving().then_some(view.cache_hit);
    let body = fields.map(|_| serialize::project(&view.body, view.class, leaves, cache_hit));
    let body = origin::with_provenance(body.as_deref().unwrap_or(&view.body), &provenance, schema);
    let mut answer = common(HttpResponse::Ok(), caller, &view, started);
    answer.insert_header((header::CONTENT_TYPE, schema_version::content_type(schema)));
    Ok(answer.body(body))
}

/// Answers with the view, reduced to `fields` if they were requested.
fn answer(
    epoch: u64,
    caller: &Caller,
    headers: &HeaderMap,
    view: &View,
    fields: Option<LeafSet>,
    started: Instant,
) -> HttpResponse {
    // A part of a profile is sent as it is: it is small, and encoding it would cost more than it saves.
    let coding = if fields.is_none() { content_coding::preferred(headers) } else { None };
    let etag = etag(epoch, caller, view, fields, coding);
    let fields = fields.map(|fields| fields.and(view.class.leaves()));
    if conditional::not_modified(headers, &etag) {
        let mut answer = common(HttpResponse::NotModified(), caller, view, started);
        return answer.insert_header((header::ETAG, etag)).finish();
    }
    let mut answer = common(HttpResponse::Ok(), caller, view, started);
    answer.insert_header((header::ETAG, etag));
    answer.insert_header((header::CONTENT_TYPE, schema_version::content_type(view.class.schema())));
    match fields {
        None => {
            let (body, coding) = encoded(view, coding);
            if let Some(coding) = coding {
                answer.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(coding.name())));
            }
            answer.body(body)
        }
        Some(fields) => {
            let cache_hit = caller.sees_serving().then_some(view.cache_hit);
            answer.body(serialize::project(&view.body, view.class, fields, cache_hit))
        }
    }
}

/// Returns the document in the coding, and whether it has it. What was encoded once is shared.
fn encoded(view: &View, coding: Option<ContentCoding>) -> (Bytes, Option<ContentCoding>) {
    let Some(coding) = coding else { return (view.body.clone(), None) };
    let body = view.encoded.get(coding, || content_coding::encode(&view.body, coding));
    // A document that could not be encoded is sent as it is.
    if body.is_empty() { (view.body.clone(), None) } else { (body, Some(coding)) }
}

/// Returns the entity tag of the view as a header; see [`tag`].
fn etag(
    epoch: u64,
    caller: &Caller,
    view: &View,
    fields: Option<LeafSet>,
    coding: Option<ContentCoding>,
) -> HeaderValue {
    tag(epoch, caller, view, fields, coding).header()
}

/// Returns the entity tag of the view, reduced to `fields` if they were requested, in a content coding.
pub(super) fn tag(
    epoch: u64,
    caller: &Caller,
    view: &View,
    fields: Option<LeafSet>,
    coding: Option<ContentCoding>,
) -> EntityTag {
    // Responses of the same revision differ in the member `cache_hit`, if the caller may see it.
    let is_weak = fields.is_some() && caller.sees_serving();
    // Hidden fields are treated like unknown ones, so that the ETag does not reveal them.
    let fields = fields.map(|fields| fields.and(view.class.leaves()));
    let representation = Representation { class: view.class, fields, generation: view.generation, coding };
    EntityTag::new(epoch, view.revision, representation, is_weak)
}

/// Adds the headers that all answers share.
fn common(mut answer: HttpResponseBuilder, caller: &Caller, view: &View, started: Instant) -> HttpResponseBuilder {
    answer.insert_header((header::CACHE_CONTROL, CACHE_CONTROL));
    answer.insert_header((header::VARY, VARY));
    answer.insert_header((X_PROFILE_REVISION.clone(), HeaderValue::from(view.revision)));
    for header in schema_version::deprecation(view.class.schema()) {
        answer.insert_header(header);
    }
    if caller.sees_serving() {
        answer.insert_header((X_CACHE.clone(), if view.cache_hit { HIT } else { MISS }));
        let took = started.elapsed().as_micros();
        let timing = format!("view;dur={}.{:03}", took / 1_000, took % 1_000);
        answer.insert_header((SERVER_TIMING.clone(), timing));
    }
    answer
}
