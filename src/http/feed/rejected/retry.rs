//! Retrying a dead letter: the event is validated and taken again, as if its engine had posted it now.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::pipeline::validate::validate;
use domain::port::audit::AuditValue;
use domain::port::dead_letters::LetterId;

use super::super::prefer::prefers_representation;
use super::super::result::FeedStatus;
use super::super::{answer, submit};
use super::state::{RejectedState, source};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;

/// Takes the event of a letter again. If it is accepted, the letter is removed, and the answer is that to one event. Otherwise
/// the letter stays, with its new problem.
pub(in crate::http) async fn post(
    context: &RequestContext,
    state: Data<RejectedState>,
) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let source = source(context)?;
    let id = LetterId::parse(context.request.match_info().query("id")).ok_or_else(unknown_letter)?;
    let _claim = state.claim(source, id)?;
    let letter = state.with_letters(move |letters| letters.read(source.name(), id)).await?;
    let letter = letter.ok_or_else(unknown_letter)?;
    if let Some(user) = letter.user {
        context.set_user(user);
    }
    context.note("letter", AuditValue::Text(id.to_string().into()));
    let body = letter.body.ok_or_else(|| {
        let detail = "the letter has no event, which was too large or may hold personal data: have its engine send it";
        Problem::new(Code::NotRetryable, detail)
    })?;
    context.record_write().await?;
    let feed = &state.feed;
    let event = match validate(&body, source, &feed.rules, feed.clock.now_micros()) {
        Ok(event) => event,
        Err(rejection) => {
            feed.metrics.count(source, FeedStatus::REJECTED);
            let (problem, pointer) = (rejection.problem().name(), rejection.pointer().map(str::to_owned));
            let change =
                state.with_letters(move |letters| letters.set_problem(source.name(), id, problem, pointer.as_deref()));
            change.await?;
            return Err(Problem::rejected(&rejection));
        }
    };
    drop(body);
    let event_id = event.id.clone();
    let status = submit(feed, source, event, received).await;
    match status {
        // It may still take effect.
        FeedStatus::Busy => context.leave_outcome_open(),
        FeedStatus::Rejected(problem) => return Err(problem),
        FeedStatus::Applied(_) | FeedStatus::Unchanged(_) | FeedStatus::Duplicate(_) => {
            let removed = state.with_letters(move |letters| letters.remove(source.name(), id)).await;
            // The event is durable. If the letter is still there, another retry finds a duplicate.
            removed.inspect_err(|_| context.leave_outcome_open())?;
        }
    }
    answer(event_id.as_str(), status, prefers_representation(context.headers()))
}

fn unknown_letter() -> Problem {
    Problem::new(Code::UnknownResource, "the source has no dead letter with this id, or has it no more")
}
