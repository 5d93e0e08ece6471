//! `POST /api/v2/feeds/{source}`: feed events in, in one of three forms.

mod batch;
mod batch_results;
mod intake;
mod line_splitter;
mod prefer;
mod result;
mod spool;
mod stream;

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use actors::Reply;
use domain::pipeline::validate::{Rejection, validate};
use domain::source::Source;
use metrics::Counter;
use serde::Serialize;

use super::body::{self, BodyLimits};
use super::caller;
use super::door::Door;
use super::headers;
use super::in_flight::Purpose;
use super::problem::{Code, Problem};
use super::write_timeout;
use crate::http::expiry::Expiry;
use crate::telemetry::metric;
use batch::Batch;
use prefer::prefers_representation;
use result::{FeedResult, FeedStatus, ResultLine, Tally};
pub(crate) use spool::{MAX_FILES as SPOOL_FILES, SpoolSpace};

/// The form of a body.
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

pub(super) async fn post(request: HttpRequest, payload: Payload, door: Data<Door>) -> Result<HttpResponse, Problem> {
    let caller = caller::authenticate(&door.verifier, request.headers())?;
    let source = Source::parse(request.match_info().query("source"))
        .ok_or_else(|| Problem::new(Code::UnknownResource, "there is no feed of that name"))?;
    if !caller.feeds.contains(&source) {
        return Err(Problem::new(
            Code::MissingScope,
            "posting here needs a service's token with the scope `feed:{source}`",
        ));
    }
    let format = format(request.headers())?;
    let received = Instant::now();
    // One deadline for all that a request does, but for a stream, which has none.
    let deadline = tokio::time::Instant::from_std(received) + door.http.request_timeout;
    let bounds = |size, advice| BodyLimits {
        size,
        advice,
        deadline,
        pause: door.http.client_body_timeout,
        in_flight: &door.in_flight,
        purpose: Purpose::Feed,
    };
    let report_all = prefers_representation(request.headers());
    match format {
        FeedFormat::Single => {
            let bounds = bounds(door.http.max_event_bytes, "one event has at most `http.max_event_bytes` bytes");
            let body = body::read(request.headers(), payload, bounds).await.map_err(|problem| {
                if problem.status_code() != StatusCode::PAYLOAD_TOO_LARGE {
                    return problem;
                }
                problem.with_dropped_letter(intake::keep_too_large(&door, source))
            })?;
            single(&door, source, report_all, &body, received).await
        }
        FeedFormat::Batch => {
            let advice = "a batch has at most `http.max_body_bytes` bytes: send its events as NDJSON to stream them";
            let batch = Batch::read(request.headers(), payload, bounds(door.http.max_body_bytes, advice)).await?;
            Ok(batch.take(&door, source, report_all, deadline).await)
        }
        FeedFormat::Stream => {
            body::refuse_encoding(request.headers())?;
            let expiry = Expiry::new(&door, &caller);
            stream::answer(door, source, report_all, payload, write_timeout::suspend(&request), expiry)
        }
    }
}

/// One event: its own status.
async fn single(
    door: &Door,
    source: Source,
    report_all: bool,
    body: &[u8],
    received: Instant,
) -> Result<HttpResponse, Problem> {
    let event = match validate(body, source, &door.rules, door.clock.now_micros()) {
        Ok(event) => event,
        Err(rejection) => return Err(intake::keep_rejected(door, &rejection, source, body)),
    };
    let id = event.id.clone();
    let (reply, result) = Reply::one();
    // A reply that is handed back is dropped, and answers busy.
    let _ = door.profiles.submit(event, received, reply);
    let status =
        match tokio::time::timeout_at(tokio::time::Instant::from_std(received) + door.http.request_timeout, result)
            .await
        {
            Ok(Ok(result)) => result.status.into(),
            _ => FeedStatus::Busy,
        };
    door.feed_metrics.count(source, status.number());
    if let FeedStatus::Busy = status {
        return Err(Problem::new(Code::Busy, "the event was not acknowledged: send it again, which is always safe"));
    }
    let mut tally = Tally::default();
    status.count(&mut tally);
    let shown = report_all || !status.is_applied();
    let result = FeedResult { index: 0, id: Some(id.as_str().to_owned()), status };
    Ok(HttpResponse::Ok().json(SingleAnswer { tally, results: shown.then(|| result.line()).into_iter().collect() }))
}

fn format(headers: &HeaderMap) -> Result<FeedFormat, Problem> {
    match &*headers::content_type(headers)? {
        "application/cloudevents+json" => Ok(FeedFormat::Single),
        "application/cloudevents-batch+json" => Ok(FeedFormat::Batch),
        stream::CONTENT_TYPE => Ok(FeedFormat::Stream),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "allowed: application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson",
        )),
    }
}

impl Problem {
    /// An event that was rejected, with the faults that were found.
    pub(in crate::http) fn rejected(rejection: &Rejection) -> Self {
        let problem = rejection.problem();
        let mut detail = rejection.detail().to_owned();
        if rejection.has_more_faults() {
            detail.push_str("; there are more faults than `errors` lists");
        }
        let faults = rejection.faults().iter();
        faults.fold(Self::of_event(problem.name(), problem.title(), problem.status(), detail), |problem, fault| {
            problem.at(fault.pointer.clone().unwrap_or_default(), fault.detail.clone())
        })
    }
}

/// `profile_feed_events_total`, a handle for each source and status.
pub(crate) struct FeedMetrics(Vec<Counter>);

impl FeedMetrics {
    pub(crate) fn new() -> Self {
        let of = |source: Source| FeedStatus::NAMES.map(|status| metric::feed_events(source.name(), status));
        Self(Source::ALL.into_iter().flat_map(of).collect())
    }

    fn count(&self, source: Source, status: usize) {
        self.0[source as usize * FeedStatus::NAMES.len() + status].increment(1);
    }
}
