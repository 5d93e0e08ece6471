//! `POST /api/v2/profiles/batch-get`: up to 1,000 profiles in one call. The answer is NDJSON, a line for each id in the
//! order of the request, and each line says what a GET of that profile would have said.

mod lines;

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actors::{Profiles, View};
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;
use lines::Lines;
use serde::Deserialize;
use tokio::time::Instant;

use super::audit::Disclosed;
use super::problem::{Code, Problem};
use super::profile;
use super::request::access::{check_visibility, read_within};
use super::request::body::{self, BodyLimits};
use super::request::caller::Caller;
use super::request::connection_context::{ConnectionContext, is_compliance};
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

/// Bytes of a line beside its profile, at most.
const LINE_OVERHEAD: usize = 192;

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
        .streaming(Lines::new(reads, ids)))
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

impl BatchReads {
    /// Returns the line of one id.
    async fn line(&self, id: &str) -> Vec<u8> {
        match self.read(id).await {
            Ok(view) => {
                let mut line = Vec::new();
                self.write_profile(&mut line, id, &view);
                line
            }
            Err(problem) => problem_line(id, &problem),
        }
    }

    /// Appends the line of one id if its view is in the cache, and no entry in the audit log has to be durable before it is
    /// sent. Returns whether it was appended; if not, nothing has happened.
    fn write_at_once(&self, out: &mut Vec<u8>, id: &str) -> bool {
        let Ok(user) = UserId::parse(id) else { return false };
        let is_served = self.connection.check_accepted(&self.caller).is_ok()
            && self.caller.viewer.may_ever_see(&user)
            && !is_compliance(&self.caller);
        let view = is_served.then(|| self.state.profiles.cached_view(&user, &self.caller.viewer, self.schema));
        let Some(view) = view.flatten() else { return false };
        self.connection.count_read(&self.caller, user, self.disclosed(&view));
        self.write_profile(out, id, &view);
        true
    }

    /// Reads one profile, and records the read.
    async fn read(&self, id: &str) -> Result<View, Problem> {
        let Ok(user) = UserId::parse(id) else {
            let problem = Problem::unknown_user();
            self.connection.deny(&self.caller, None, &problem);
            return Err(problem);
        };
        let view = self.view(user).await;
        let disclosed = view.as_ref().map(|view| self.disclosed(view));
        self.connection.record_read(&self.caller, user, disclosed).await?;
        view
    }

    /// Returns what a view discloses to the caller.
    fn disclosed(&self, view: &View) -> Disclosed {
        let seen = view.class.leaves();
        Disclosed::new(self.fields.map_or(seen, |fields| fields.and(seen)), view.generation)
    }

    async fn view(&self, user: UserId) -> Result<View, Problem> {
        self.connection.check_accepted(&self.caller)?;
        check_visibility(&self.caller, &user)?;
        let viewer = &self.caller.viewer;
        let left = self.deadline.saturating_duration_since(Instant::now());
        read_within(left, viewer, self.state.profiles.view(user, viewer, self.schema)).await
    }

    /// Appends the line of a profile.
    fn write_profile(&self, out: &mut Vec<u8>, id: &str, view: &View) {
        let tag = profile::tag(self.state.epoch, &self.caller, view, self.fields, None);
        out.reserve(LINE_OVERHEAD + view.body.len());
        // Writing into a vector cannot fail. An id has no character that JSON escapes, and a tag but its quotes none.
        let _ =
            write!(out, r#"{{"user_id":"{id}","status":200,"etag":"{}\"{}\"","profile":"#, tag.prefix(), tag.opaque());
        match self.fields {
            None => out.extend_from_slice(&view.body),
            Some(fields) => {
                let cache_hit = self.caller.sees_serving().then_some(view.cache_hit);
                let fields = fields.and(view.class.leaves());
                out.extend_from_slice(&serialize::project(&view.body, view.class, fields, cache_hit));
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Returns the line of an id without an answer.
fn problem_line(id: &str, problem: &Problem) -> Vec<u8> {
    let (status, problem) = (problem.status().as_u16(), problem.body(None, None));
    let mut line = json_text::to_bytes(&serde_json::json!({"user_id": id, "status": status, "problem": problem}));
    line.push(b'\n');
    line
}
