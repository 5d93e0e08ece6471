//! `POST /api/v2/profiles/batch-get`: up to 1,000 profiles in one call. The answer is NDJSON, a line for each id in the
//! order of the request, and each line says what a GET of that profile would have said.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actors::{Profiles, View};
use bytes::Bytes;
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::time::Instant;

use super::audit::Disclosed;
use super::problem::{Code, Problem};
use super::profile;
use super::request::access::{check_visibility, read_within};
use super::request::body::{self, BodyLimits};
use super::request::caller::Caller;
use super::request::connection_context::ConnectionContext;
use super::request::context::RequestContext;
use super::request::in_flight::{InFlight, Purpose};
use super::request::parameter::FIELDS;
use super::request::{headers, query, schema_version};
use crate::json_object::JsonObject;
use crate::json_text;

/// Maximum number of ids.
const MAX_IDS: usize = 1_000;
/// Maximum size of the body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Number of profiles that are read at the same time.
const READS: usize = 32;

/// State of `POST /api/v2/profiles/batch-get`.
pub(crate) struct BatchGetState {
    pub(crate) profiles: Profiles,
    /// The store's epoch, which is part of every ETag.
    pub(crate) epoch: u64,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of the body.
    pub(crate) body_timeout: Duration,
}

/// The body of the request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchGet {
    user_ids: Vec<String>,
}

/// The reads of one request.
struct BatchReads {
    state: Data<BatchGetState>,
    caller: Arc<Caller>,
    connection: ConnectionContext,
    schema: SchemaVersion,
    fields: Option<LeafSet>,
    deadline: Instant,
}

/// Answers with a line for each id.
pub(super) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<BatchGetState>),
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + state.request_timeout;
    let schema = schema_version::negotiate_version(context.query())?;
    let fields = query::list(context.query(), &FIELDS).map(|names| serialize::parse_fields(&names, schema));
    if !headers::content_type(context.headers())?.is("application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"));
    }
    let limits = BodyLimits {
        size: MAX_BODY,
        advice: "the ids of a batch have at most 64 KiB together",
        deadline,
        pause: state.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::Feed,
    };
    let body = body::read(context.headers(), payload, limits).await?;
    let ids = read_ids(&body)?;
    drop(body);
    context.count_as(ids.len())?;
    let caller = Arc::clone(&context.caller);
    let reads = Rc::new(BatchReads { state, caller, connection: context.connection(), schema, fields, deadline });
    let mut answer = HttpResponse::Ok();
    for header in schema_version::deprecation(schema) {
        answer.insert_header(header);
    }
    Ok(answer
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .streaming(lines(reads, ids)))
}

/// Reads the ids. They are checked one by one later, since a wrong one is answered in its line.
fn read_ids(body: &[u8]) -> Result<Vec<String>, Problem> {
    let invalid =
        || Problem::new(Code::Invalid, "the body must be an object with the array `user_ids` of strings alone");
    let JsonObject(batch): JsonObject<BatchGet> =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => invalid(),
            _ => Problem::new(Code::MalformedBody, "the body is not JSON"),
        })?;
    if batch.user_ids.is_empty() || batch.user_ids.len() > MAX_IDS {
        return Err(Problem::new(Code::Invalid, "a batch has 1 to 1,000 ids").at("/user_ids", "has 1 to 1,000 items"));
    }
    Ok(batch.user_ids)
}

/// Returns the lines, in pieces. Profiles are read as the connection takes pieces.
fn lines(reads: Rc<BatchReads>, ids: Vec<String>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let lines = stream::iter(ids).map(move |id| {
        let reads = Rc::clone(&reads);
        async move { reads.line(&id).await }
    });
    lines.buffered(READS).ready_chunks(READS).map(|lines| Ok(Bytes::from(lines.concat())))
}

impl BatchReads {
    /// Returns the line of one id.
    async fn line(&self, id: &str) -> Vec<u8> {
        match self.read(id).await {
            Ok(view) => self.profile_line(id, &view),
            Err(problem) => problem_line(id, &problem),
        }
    }

    /// Reads one profile, and records the read.
    async fn read(&self, id: &str) -> Result<View, Problem> {
        let Ok(user) = UserId::parse(id) else {
            let problem = Problem::unknown_user();
            self.connection.deny(&self.caller, None, &problem);
            return Err(problem);
        };
        let view = self.view(user).await;
        let disclosed = view.as_ref().map(|view| {
            let seen = view.class.leaves();
            Disclosed::new(self.fields.map_or(seen, |fields| fields.and(seen)), view.generation)
        });
        self.connection.record_read(&self.caller, user, disclosed).await?;
        view
    }

    async fn view(&self, user: UserId) -> Result<View, Problem> {
        self.connection.check_accepted(&self.caller)?;
        check_visibility(&self.caller, &user)?;
        let viewer = &self.caller.viewer;
        let left = self.deadline.saturating_duration_since(Instant::now());
        read_within(left, viewer, self.state.profiles.view(user, viewer, self.schema)).await
    }

    fn profile_line(&self, id: &str, view: &View) -> Vec<u8> {
        let etag = profile::etag(self.state.epoch, &self.caller, view, self.fields, None);
        // A tag is printable ASCII without a backslash, so its quotes are all that JSON escapes.
        let etag = etag.to_str().unwrap_or_default().replace('"', "\\\"");
        let head = format!("{{\"user_id\":\"{id}\",\"status\":200,\"etag\":\"{etag}\",\"profile\":");
        let mut line = Vec::with_capacity(head.len() + view.body.len() + 2);
        line.extend_from_slice(head.as_bytes());
        match self.fields {
            None => line.extend_from_slice(&view.body),
            Some(fields) => {
                let cache_hit = self.caller.sees_serving().then_some(view.cache_hit);
                line.extend_from_slice(&serialize::project(
                    &view.body,
                    view.class,
                    fields.and(view.class.leaves()),
                    cache_hit,
                ));
            }
        }
        line.extend_from_slice(b"}\n");
        line
    }
}

/// Returns the line of an id without an answer.
fn problem_line(id: &str, problem: &Problem) -> Vec<u8> {
    let (status, problem) = (problem.status().as_u16(), problem.body(None, None));
    let mut line = json_text::to_bytes(&serde_json::json!({"user_id": id, "status": status, "problem": problem}));
    line.push(b'\n');
    line
}
