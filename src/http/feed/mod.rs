//! `POST /api/v2/feeds/{source}`: feed events in, in one of three forms.

mod batch;
mod intake;
mod lines;
mod outcome;
mod prefer;
mod results;
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

use super::body::{self, Bounds};
use super::caller;
use super::door::Door;
use super::headers;
use super::in_flight::Purpose;
use super::problem::{Code, Problem};
use super::unread;
use crate::live::stay::Stay;
use crate::telemetry::metric;
use batch::Batch;
use outcome::{Line, Outcome, Tally, Verdict};
use prefer::prefers_representation;
pub(crate) use spool::{MAX_FILES as SPOOL_FILES, Space as SpoolSpace};

/// The form of a body.
#[derive(Clone, Copy)]
enum Form {
    Single,
    Batch,
    Stream,
}

/// The answer to one event.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    tally: Tally,
    results: Vec<Line<'a>>,
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
    let form = form(request.headers())?;
    let received = Instant::now();
    // One deadline for all that a request does, but for a stream, which has none.
    let deadline = tokio::time::Instant::from_std(received) + door.http.request_timeout;
    let bounds = |size, advice| Bounds {
        size,
        advice,
        deadline,
        pause: door.http.client_body_timeout,
        in_flight: &door.in_flight,
        purpose: Purpose::Feed,
    };
    let report_all = prefers_representation(request.headers());
    match form {
        Form::Single => {
            let bounds = bounds(door.http.max_event_bytes, "one event has at most `http.max_event_bytes` bytes");
            let body = body::read(request.headers(), payload, bounds).await.map_err(|problem| {
                if problem.status_code() != StatusCode::PAYLOAD_TOO_LARGE {
                    return problem;
                }
                problem.with_dropped_letter(intake::keep_too_large(&door, source))
            })?;
            single(&door, source, report_all, &body, received).await
        }
        Form::Batch => {
            let advice = "a batch has at most `http.max_body_bytes` bytes: send its events as NDJSON to stream them";
            let batch = Batch::read(request.headers(), payload, bounds(door.http.max_body_bytes, advice)).await?;
            Ok(batch.take(&door, source, report_all, deadline).await)
        }
        Form::Stream => {
            body::refuse_encoding(request.headers())?;
            let stay = Stay::new(&door, &caller);
            stream::answer(door, source, report_all, payload, unread::lift(&request), stay)
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
    let verdict =
        match tokio::time::timeout_at(tokio::time::Instant::from_std(received) + door.http.request_timeout, result)
            .await
        {
            Ok(Ok(result)) => result.status.into(),
            _ => Verdict::Busy,
        };
    door.feed_metrics.count(source, verdict.number());
    if let Verdict::Busy = verdict {
        return Err(Problem::new(Code::Busy, "the event was not acknowledged: send it again, which is always safe"));
    }
    let mut tally = Tally::default();
    verdict.count(&mut tally);
    let shown = report_all || !verdict.is_applied();
    let outcome = Outcome { index: 0, id: Some(id.as_str().to_owned()), verdict };
    Ok(HttpResponse::Ok().json(Answer { tally, results: shown.then(|| outcome.line()).into_iter().collect() }))
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    match &*headers::content_type(headers)? {
        "application/cloudevents+json" => Ok(Form::Single),
        "application/cloudevents-batch+json" => Ok(Form::Batch),
        stream::CONTENT_TYPE => Ok(Form::Stream),
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
        let of = |source: Source| Verdict::NAMES.map(|status| metric::feed_events(source.name(), status));
        Self(Source::ALL.into_iter().flat_map(of).collect())
    }

    fn count(&self, source: Source, verdict: usize) {
        self.0[source as usize * Verdict::NAMES.len() + verdict].increment(1);
    }
}
