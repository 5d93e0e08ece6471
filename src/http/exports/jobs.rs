//! `POST /api/v2/profiles/bulk-export`, `GET /api/v2/exports`, and `GET` and `DELETE /api/v2/exports/{job}`.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actors::export::StartRefusal;
use domain::day::format_instant;
use domain::event::EventFault;
use domain::export::{BudgetRefusal, ExportRequest};
use domain::port::audit::AuditValue;
use serde_json::{Value, json};

use super::state::{ExportState, job_id, note_job, unknown_job};
use crate::http::problem::{Code, Problem};
use crate::http::request::body::{self, BodyLimits};
use crate::http::request::context::RequestContext;
use crate::http::request::headers;
use crate::http::request::in_flight::Purpose;
use crate::http::request::page::page;

/// Maximum size of a request, in bytes.
pub(in crate::http) const MAX_BODY: usize = 16 * 1024;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Starts a job, and answers with its id.
pub(in crate::http) async fn start(
    context: &RequestContext,
    (payload, state): (Payload, Data<ExportState>),
) -> Result<HttpResponse, Problem> {
    if !headers::content_type(context.headers())?.is("application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"));
    }
    let limits = BodyLimits {
        size: MAX_BODY,
        advice: "a request has at most 16 KiB",
        deadline: tokio::time::Instant::now() + state.request_timeout,
        pause: state.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::CitizenWrite,
    };
    let body = body::read(context.headers(), payload, limits).await?;
    let request = ExportRequest::parse(&body, &state.rules, &state.export_rules).map_err(|faults| refused(&faults))?;
    let id = state.exports.new_id();
    note_job(context, id);
    context.note("request", AuditValue::Text(Cow::Owned(request.canonical())));
    context.record_write().await?;
    state.sign_tree_head().await?;
    state.exports.begin(id, request, context.caller.subject().to_owned()).await.map_err(Problem::from)?;
    let address = format!("/api/v2/exports/{id}");
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, address))
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        .json(json!({"job_id": id.to_string()})))
}

/// Answers with the caller's jobs, the newest first, in pages. The cursor is the id of the last job of a page.
pub(in crate::http) async fn list(context: &RequestContext, state: Data<ExportState>) -> Result<HttpResponse, Problem> {
    let jobs = state.exports.list(context.caller.subject()).await;
    let position = |cursor: &str| jobs.iter().position(|job| job.id.to_string() == cursor);
    let (last, limit) = page(context.query(), position)?;
    let start = last.map_or(0, |last| last + 1);
    let now = state.clock.now_micros();
    let page = &jobs[start..jobs.len().min(start + limit)];
    let items: Vec<Value> = page.iter().map(|job| job.to_json(now)).collect();
    let mut answer = json!({"items": items});
    if let Some(last) = page.last().filter(|_| start + limit < jobs.len()) {
        answer["next_cursor"] = json!(last.id.to_string());
    }
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, NO_STORE)).json(answer))
}

/// Answers with the status of a job.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<ExportState>) -> Result<HttpResponse, Problem> {
    note_job(context, job_id(context)?);
    let job = state.job(context).await?.borrow().to_json(state.clock.now_micros());
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, NO_STORE)).json(job))
}

/// Cancels a job, or deletes its file.
pub(in crate::http) async fn cancel(
    context: &RequestContext,
    state: Data<ExportState>,
) -> Result<HttpResponse, Problem> {
    let id = job_id(context)?;
    note_job(context, id);
    context.record_write().await?;
    if state.exports.cancel(id, context.caller.subject()).await {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(unknown_job())
    }
}

/// Returns the problem of a request with faults.
fn refused(faults: &[EventFault]) -> Problem {
    let Some(first) = faults.first() else { return Problem::new(Code::Invalid, "the request is not valid") };
    let (problem, detail) = (first.problem, first.detail.clone().into_owned());
    let refused = Problem::for_event(problem.name(), problem.title(), problem.status(), detail);
    faults
        .iter()
        .fold(refused, |refused, fault| refused.at(fault.pointer.clone().unwrap_or_default(), fault.detail.clone()))
}

impl From<StartRefusal> for Problem {
    fn from(refusal: StartRefusal) -> Self {
        match refusal {
            StartRefusal::Busy => Self::new(Code::Busy, "too many exports wait: try again when one has ended"),
            StartRefusal::Budget(BudgetRefusal::Spent { available, free_at }) => {
                let left = f64::from(available) / 1e6;
                let detail = format!(
                    "an epsilon of {left} is left of the budget of 24 hours; enough is free at {}",
                    format_instant(free_at)
                );
                Self::new(Code::PrivacyBudgetSpent, detail)
            }
            StartRefusal::Budget(_) => Self::new(Code::Invalid, "`epsilon` is out of range"),
            StartRefusal::Unavailable(error) => {
                tracing::error!(%error, "an export could not be stored");
                Self::new(Code::Unavailable, "the job could not be stored: try again")
            }
            StartRefusal::Stopping => Self::new(Code::Unavailable, "the server stops"),
        }
    }
}
