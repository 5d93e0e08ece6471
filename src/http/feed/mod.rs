//! `POST /api/v2/feeds/{source}`: services post feed events: one, a batch, or a stream.

mod batch;
mod batch_results;
mod intake;
mod line_splitter;
mod metrics;
mod prefer;
pub(super) mod rejected;
mod result;
mod spool;
mod state;
mod stream;

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use actors::Reply;
use domain::event::FeedEvent;
use domain::pipeline::validate::validate;
use domain::source::Source;
use serde::Serialize;

use super::problem::{Code, Problem};
use crate::http::request::body::{self, BodyLimits, RequestBody};
use crate::http::request::context::RequestContext;
use crate::http::request::expiry::Expiry;
use crate::http::request::headers;
use crate::http::request::in_flight::Purpose;
use crate::http::request::write_timeout;
use batch::FeedBatch;
pub(crate) use metrics::FeedMetrics;
use prefer::prefers_representation;
pub(crate) use rejected::RejectedState;
use result::{FeedResult, FeedStatus, ResultLine, Tally};
pub(crate) use spool::{MAX_FILES as SPOOL_FILES, SpoolSpace};
pub(crate) use state::{FeedLimits, FeedState};

/// The format of a body.
#[derive(Clone, Copy)]
enum FeedFormat {
    Single,
    Batch,
    Stream,
}

/// The answer to one event.
#[derive(Serialize)]
struct SingleAnswer<'a> {
    #[serde(flatten)]
    tally: Tally,
    results: Vec<ResultLine<'a>>,
}

/// Takes the events of the body, and answers with their results.
pub(super) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<FeedState>),
) -> Result<HttpResponse, Problem> {
    let (caller, headers) = (&context.caller, context.headers());
    let source = Source::parse(context.request.match_info().query("source"))
        .ok_or_else(|| Problem::new(Code::UnknownResource, "there is no feed with this name"))?;
    let format = format(headers)?;
    let received = Instant::now();
    // A request has one deadline for all its work. A stream has none.
    let deadline = tokio::time::Instant::from_std(received) + state.limits.request_timeout;
    let limits = |size, advice| BodyLimits {
        size,
        advice,
        deadline,
        pause: state.limits.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::Feed,
    };
    let report_all = prefers_representation(headers);
    match format {
        FeedFormat::Single => {
            let limits = limits(state.limits.max_event_bytes, "one event has at most `http.max_event_bytes` bytes");
            let body = read_single(&state, source, headers, payload, limits).await?;
            single(&state, source, report_all, &body, received).await
        }
        FeedFormat::Batch => {
            let advice = "a batch has at most `http.max_body_bytes` bytes: send its events as NDJSON to stream them";
            let batch = FeedBatch::read(headers, payload, limits(state.limits.max_body_bytes, advice)).await?;
            Ok(batch.take(&state, source, report_all, deadline).await)
        }
        FeedFormat::Stream => {
            body::refuse_encoding(headers)?;
            let expiry = Expiry::new(&state.verifier, caller, state.closing.clone());
            stream::answer(state, source, report_all, payload, write_timeout::suspend(&context.request), expiry)
        }
    }
}

/// Reads the body of one event. If it is too large, it is counted and kept as a dead letter without its body.
async fn read_single(
    state: &FeedState,
    source: Source,
    headers: &HeaderMap,
    payload: Payload,
    limits: BodyLimits<'_>,
) -> Result<RequestBody, Problem> {
    body::read(headers, payload, limits).await.map_err(|problem| {
        if problem.is(Code::TooLarge) {
            problem.with_dropped_letter(intake::keep_too_large(state, source))
        } else {
            problem
        }
    })
}

/// Takes one event. Its result is the status of the answer.
async fn single(
    state: &FeedState,
    source: Source,
    report_all: bool,
    body: &[u8],
    received: Instant,
) -> Result<HttpResponse, Problem> {
    let event = match validate(body, source, &state.rules, state.clock.now_micros()) {
        Ok(event) => event,
        Err(rejection) => return Err(intake::keep_rejected(state, &rejection, source, body)),
    };
    let id = event.id.clone();
    let status = submit(state, source, event, received).await;
    answer(id.as_str(), status, report_all)
}

/// Hands an event to its user, and waits for its status as long as a request may take. The status is counted.
async fn submit(state: &FeedState, source: Source, event: FeedEvent, received: Instant) -> FeedStatus {
    let (reply, result) = Reply::one();
    // A refused reply is dropped here, which answers `busy`.
    let _ = state.profiles.submit(event, received, reply);
    let deadline = tokio::time::Instant::from_std(received) + state.limits.request_timeout;
    let status = match tokio::time::timeout_at(deadline, result).await {
        Ok(Ok(result)) => result.status.into(),
        _ => FeedStatus::Busy,
    };
    state.metrics.count(source, status.number());
    status
}

/// Returns the answer to an event that was posted alone.
fn answer(id: &str, status: FeedStatus, report_all: bool) -> Result<HttpResponse, Problem> {
    match status {
        FeedStatus::Busy => {
            let detail = "the event was not acknowledged: send it again, which is always safe";
            return Err(Problem::new(Code::Busy, detail));
        }
        // Only the actor's refusals come here: an event that is not valid has its answer already.
        FeedStatus::Rejected(problem) => return Err(problem),
        FeedStatus::Applied(_) | FeedStatus::Unchanged(_) | FeedStatus::Duplicate(_) => {}
    }
    let mut tally = Tally::default();
    status.count(&mut tally);
    let shown = report_all || !status.is_applied();
    let result = FeedResult { index: 0, id: Some(id.to_owned()), status };
    Ok(HttpResponse::Ok().json(SingleAnswer { tally, results: shown.then(|| result.line()).into_iter().collect() }))
}

/// Returns the format that `Content-Type` names.
fn format(headers: &HeaderMap) -> Result<FeedFormat, Problem> {
    let media_type = headers::content_type(headers)?;
    let formats = [
        ("application/cloudevents+json", FeedFormat::Single),
        ("application/cloudevents-batch+json", FeedFormat::Batch),
        (stream::CONTENT_TYPE, FeedFormat::Stream),
    ];
    let format = formats.into_iter().find(|(name, _)| media_type.is(name)).map(|(_, format)| format);
    format.ok_or_else(|| {
        Problem::new(
            Code::UnsupportedMediaType,
            "allowed: application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson",
        )
    })
}
