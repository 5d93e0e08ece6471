//! `DELETE /api/v2/profile/{user_id}`: erases a citizen, at once or after some days.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use domain::access::Viewer;
use domain::day::format_instant;
use domain::erasure::ErasureReason;
use domain::port::audit::AuditValue;
use serde_json::json;

use super::state::ErasureState;
use crate::erasure::{FinishedErasure, KnownErasure};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::RETAIN_DAYS;
use crate::http::request::query;

/// Maximum number of days for which an erasure can be undone.
const MAX_RETAIN_DAYS: u32 = 30;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Erases the citizen, and answers with the receipt; or hides the profile and answers when it will be erased.
pub(in crate::http) async fn erase(
    context: &RequestContext,
    state: Data<ErasureState>,
) -> Result<HttpResponse, Problem> {
    let days = retain_days(context.query())?;
    let user = context.user()?;
    let (reason, erasures) = (reason(context), &state.erasures);
    match erasures.state(user).await? {
        KnownErasure::Unknown => Err(Problem::unknown_user()),
        KnownErasure::Finished(receipt) => repeated(context, receipt).await,
        KnownErasure::Living | KnownErasure::Scheduled { .. } if days > 0 => {
            context.note("retain_days", AuditValue::Integer(days.into()));
            context.record_write().await?;
            let due_at = erasures.schedule(user, reason, context.erasure_origin(), days).await?;
            Ok(scheduled(user.as_str(), due_at))
        }
        _ => {
            let finished = erasures.erase(user, reason, context.erasure_origin()).await?;
            let FinishedErasure { receipt, is_recorded } = finished;
            if !is_recorded {
                return repeated(context, receipt).await;
            }
            context.leave_record_to_operation();
            Ok(receipt_answer(receipt))
        }
    }
}

/// Answers with the receipt of an erasure that was recorded before.
async fn repeated(context: &RequestContext, receipt: String) -> Result<HttpResponse, Problem> {
    context.note("repeated", AuditValue::Bool(true));
    context.record_write().await?;
    Ok(receipt_answer(receipt))
}

fn receipt_answer(receipt: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, NO_STORE)).content_type("application/json").body(receipt)
}

fn scheduled(user: &str, due_at: i64) -> HttpResponse {
    let undo = format!("/api/v2/profile/{user}/erasure");
    HttpResponse::Accepted().insert_header((header::CACHE_CONTROL, NO_STORE)).json(json!({
        "state": "scheduled",
        "erased_at": format_instant(due_at),
        "undo": {"method": "DELETE", "href": undo},
    }))
}

fn reason(context: &RequestContext) -> ErasureReason {
    match context.caller.viewer {
        Viewer::SelfCitizen(_) => ErasureReason::Citizen,
        _ => ErasureReason::Administrator,
    }
}

/// Returns for how many days the erasure can be undone; 0 if it is at once.
fn retain_days(text: &str) -> Result<u32, Problem> {
    let Some(days) = query::single(text, &RETAIN_DAYS)? else { return Ok(0) };
    let is_number = !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
    let days = days.parse().ok().filter(|days| is_number && *days <= MAX_RETAIN_DAYS);
    days.ok_or_else(|| Problem::new(Code::InvalidParameter, "`retain_days` must be an integer from 0 to 30"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_thirty_days_are_retained() {
        for (query, days) in [("", 0), ("retain_days=0", 0), ("retain_days=1", 1), ("a=b&retain_days=30", 30)] {
            assert_eq!(retain_days(query).ok(), Some(days), "{query}");
        }
        for query in ["retain_days", "retain_days=31", "retain_days=-1", "retain_days=%2B1", "retain_days=1.5"] {
            assert!(retain_days(query).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{query}");
        }
        assert!(retain_days("retain_days=1&retain_days=1").is_err());
    }
}
