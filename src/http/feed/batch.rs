//! `application/cloudevents-batch+json`: a JSON array of events, each with its result.

use std::ops::Range;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Payload;
use domain::json::{ArraySplitter, SplitError};
use domain::source::Source;
use tokio::time::Instant;

use super::batch_results::BatchResults;
use super::intake::Intake;
use super::state::FeedState;
use crate::http::problem::{Code, Problem};
use crate::http::request::body::{self, BodyLimits, RequestBody};
use crate::http::request::in_flight::Purpose;

/// Maximum number of events of a batch.
const MAX_EVENTS: usize = 100_000;

/// A body that is an array, and the position of each event in it.
pub(super) struct FeedBatch {
    body: RequestBody,
    events: Vec<Range<usize>>,
}

impl FeedBatch {
    /// Reads the body, and checks it meanwhile.
    ///
    /// # Errors
    /// The body is malformed or has too many events: none of its events is taken.
    pub(super) async fn read(headers: &HeaderMap, payload: Payload, limits: BodyLimits<'_>) -> Result<Self, Problem> {
        let mut splitter = ArraySplitter::new(MAX_EVENTS);
        let body = body::read_checked(headers, payload, limits, |text| Ok(splitter.advance(text)?)).await?;
        let events = splitter.finish(&body)?;
        Ok(Self { body, events })
    }

    /// Takes the events in order. Events without a result at the deadline are answered `busy`.
    pub(super) async fn take(
        self,
        state: &FeedState,
        source: Source,
        report_all: bool,
        deadline: Instant,
    ) -> HttpResponse {
        let mut intake = Intake::new(state, source, report_all, Some(deadline));
        let mut results = BatchResults::new(state.limits.max_answer_bytes, state.in_flight.reserve(Purpose::Feed));
        for event in self.events {
            intake.take(&self.body[event]).await;
            intake.reports().for_each(|outcome| results.add(&outcome));
        }
        intake.finish().await;
        intake.reports().for_each(|outcome| results.add(&outcome));
        let mut answer = HttpResponse::Ok();
        answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        answer.body(results.into_answer(intake.tally()))
    }
}

impl From<SplitError> for Problem {
    fn from(error: SplitError) -> Self {
        match error {
            SplitError::Read(error) => Self::new(Code::MalformedBody, error.to_string()),
            SplitError::TooManyItems { .. } => {
                Self::new(Code::TooLarge, "a batch has at most 100,000 events; stream more as NDJSON")
            }
        }
    }
}
