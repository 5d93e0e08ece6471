//! `GET /api/v2/exports/{job}/events`: the status of a job as Server-Sent Events, until the job ends.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use bytes::Bytes;
use domain::export::ExportJob;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::state::{ExportState, job_id, note_job};
use crate::http::problem::Problem;
use crate::http::request::context::RequestContext;
use crate::http::request::event_stream::{EVENT_STREAM, X_ACCEL_BUFFERING};
use crate::http::request::expiry::Expiry;
use crate::http::request::headers::accept::{self, ServedType};
use crate::http::transport;

/// Time after which the status is repeated although nothing has changed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Answers with the stream: an event at once, one with each change, and the last one when the job has ended.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<ExportState>) -> Result<HttpResponse, Problem> {
    if accept::choose(context.headers(), &[ServedType::new(EVENT_STREAM)]).is_none() {
        return Err(Problem::not_acceptable("`served` lists the media type of the stream", &[EVENT_STREAM]));
    }
    note_job(context, job_id(context)?);
    let job = state.job(context).await?;
    let expiry = state.expiry(&context.caller);
    let expired = expiry.expired().map(drop).boxed();
    let events = Events { job, state, expired, is_first: true, is_over: false, _expiry: expiry };
    transport::begin_event_stream(&context.request);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")))
        .streaming(events.into_stream()))
}

struct Events {
    job: watch::Receiver<ExportJob>,
    state: Data<ExportState>,
    expired: BoxFuture<'static, ()>,
    is_first: bool,
    is_over: bool,
    _expiry: Expiry,
}

impl Events {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut events| async move {
            let event = events.next().await?;
            Some((Ok(event), events))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if !self.is_first {
            let is_open = tokio::select! {
                changed = timeout(HEARTBEAT, self.job.changed()) => !matches!(changed, Ok(Err(_))),
                () = &mut self.expired => false,
            };
            if !is_open {
                return None;
            }
        }
        self.is_first = false;
        let job = self.job.borrow_and_update().clone();
        self.is_over = job.state().is_final();
        let status = job.to_json(self.state.clock.now_micros());
        Some(Bytes::from(format!("event: status\ndata: {status}\n\n")))
    }
}
