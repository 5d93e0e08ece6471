//! `GET` and `HEAD /api/v2/profile/{user_id}`: the profile as this caller may see it.
//!
//! A hit allocates the response's headers and little else: the body is the cache's own bytes.

use std::future::Future;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::{ReadError, View};
use domain::access::Viewer;
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::table::LeafSet;

use super::access_reason::AccessReason;
use super::caller::{self, Caller};
use super::conditional::{self, Representation};
use super::door::Door;
use super::problem::{Code, Problem};
use super::query;

static X_PROFILE_REVISION: HeaderName = HeaderName::from_static("x-profile-revision");
static X_CACHE: HeaderName = HeaderName::from_static("x-cache");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.civic.profile+json;version=2.0");
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization");
const HIT: HeaderValue = HeaderValue::from_static("hit");
const MISS: HeaderValue = HeaderValue::from_static("miss");

pub(super) async fn get(request: HttpRequest, door: Data<Door>) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let headers = request.headers();
    let caller = caller::authenticate(&door.verifier, headers)?;
    super::version::negotiate(headers, request.query_string())?;
    let fields = query::list(request.query_string(), "fields").map(|names| serialize::parse_fields(&names));
    refuse_history(request.query_string())?;
    let user = user_id(&request)?;
    check_sight(&caller, &user)?;
    AccessReason::of(&caller, headers)?.record(&caller, "read", &user);
    let view = within(&door, &caller.viewer, door.profiles.view(user, &caller.viewer)).await?;
    Ok(answer(&door, &caller, headers, &view, fields, started))
}

/// What asks for another document than the newest must not get that one.
fn refuse_history(query: &str) -> Result<(), Problem> {
    match ["as_of", "revision", "include"].iter().any(|name| query::has(query, name)) {
        true => Err(Problem::new(
            Code::InvalidParameter,
            "`as_of`, `revision` and `include` are not served: ask without them for the newest revision",
        )),
        false => Ok(()),
    }
}

fn answer(
    door: &Door,
    caller: &Caller,
    headers: &HeaderMap,
    view: &View,
    fields: Option<LeafSet>,
    started: Instant,
) -> HttpResponse {
    // `cache_hit` makes equal revisions differ in their bytes, for those who see it.
    let weak = fields.is_some() && caller.sees_serving();
    // A hidden name must not even move the ETag: it gets the silence of an unknown one.
    let fields = fields.map(|fields| fields.and(view.mask));
    let representation = Representation { mask: view.mask, fields, generation: view.generation };
    let etag = conditional::etag(door.epoch, view.revision, representation, weak);
    if conditional::not_modified(headers, &etag) {
        return common(HttpResponse::NotModified(), caller, view, etag, started).finish();
    }
    let mut answer = common(HttpResponse::Ok(), caller, view, etag, started);
    answer.insert_header((header::CONTENT_TYPE, CONTENT_TYPE));
    match fields {
        None => answer.body(view.body.clone()),
        Some(fields) => {
            let cache_hit = caller.sees_serving().then_some(view.cache_hit);
            answer.body(serialize::project(&view.body, fields, cache_hit))
        }
    }
}

fn common(
    mut answer: HttpResponseBuilder,
    caller: &Caller,
    view: &View,
    etag: HeaderValue,
    started: Instant,
) -> HttpResponseBuilder {
    answer.insert_header((header::ETAG, etag));
    answer.insert_header((header::CACHE_CONTROL, CACHE_CONTROL));
    answer.insert_header((header::VARY, VARY));
    answer.insert_header((X_PROFILE_REVISION.clone(), HeaderValue::from(view.revision)));
    if caller.sees_serving() {
        answer.insert_header((X_CACHE.clone(), if view.cache_hit { HIT } else { MISS }));
        let took = started.elapsed().as_micros();
        let timing = format!("view;dur={}.{:03}", took / 1_000, took % 1_000);
        answer.insert_header((SERVER_TIMING.clone(), timing));
    }
    answer
}

/// The user id of the path. One that is none belongs to nobody, and gets the answer of an unknown one.
pub(crate) fn user_id(request: &HttpRequest) -> Result<UserId, Problem> {
    UserId::parse(request.match_info().query("user_id")).map_err(|_| Problem::unknown_user())
}

/// Refuses a caller who could not see this user whatever the user's state, before anything is looked up: how a look-up
/// goes would tell whether the user exists.
pub(crate) fn check_sight(caller: &Caller, user: &UserId) -> Result<(), Problem> {
    if caller.viewer.may_ever_see(user) { Ok(()) } else { Err(Problem::unknown_user()) }
}

/// Callers who must not learn whether a user exists are told "unknown" at a multiple of this time after they asked. All
/// denials take the same path (ADR 0012); what is left is that loading a hidden user for the first time takes longer than
/// finding nobody, and that the response time would reveal it.
const DENIAL_QUANTUM: Duration = Duration::from_millis(50);

/// How long after it asked a caller is told "unknown" when that is known after `elapsed`.
fn denial_time(elapsed: Duration) -> Duration {
    let quanta = elapsed.as_nanos() / DENIAL_QUANTUM.as_nanos() + 1;
    DENIAL_QUANTUM * u32::try_from(quanta).unwrap_or(u32::MAX)
}

/// Waits for a read for `viewer`, within the time that a request may take.
pub(crate) async fn within<T>(
    door: &Door,
    viewer: &Viewer,
    read: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, Problem> {
    let asked = tokio::time::Instant::now();
    match tokio::time::timeout(door.http.request_timeout, read).await {
        Ok(Err(ReadError::Unknown)) if viewer.existence_may_be_hidden() => {
            tokio::time::sleep_until(asked + denial_time(asked.elapsed())).await;
            Err(ReadError::Unknown.into())
        }
        Ok(read) => read.map_err(Problem::from),
        Err(_) => Err(Problem::new(Code::Timeout, "the profile could not be read in time")),
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unknown => Self::unknown_user(),
            ReadError::Busy => Self::new(Code::Busy, "too many profiles are being loaded: ask again"),
            ReadError::Unavailable => Self::new(Code::Unavailable, "the profile cannot be read now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_a_quantum_is_denied_at_the_same_time() {
        let quantum = DENIAL_QUANTUM;
        let instant = Duration::from_nanos(1);
        for elapsed in [Duration::ZERO, instant, quantum / 2, quantum - instant] {
            assert_eq!(denial_time(elapsed), quantum);
        }
        for elapsed in [quantum, quantum + instant, 2 * quantum - instant] {
            assert_eq!(denial_time(elapsed), 2 * quantum);
        }
    }
}
