//! `DELETE /api/v2/profile/{user_id}/erasure`: undoes an erasure that is scheduled.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::state::ErasureState;
use crate::erasure::{ErasureError, KnownErasure};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;

/// Undoes the erasure that is scheduled. The profile can be read again when this answers.
pub(in crate::http) async fn undo(
    context: &RequestContext,
    state: Data<ErasureState>,
) -> Result<HttpResponse, Problem> {
    let user = context.user()?;
    match state.erasures.state(user).await? {
        KnownErasure::Unknown => return Err(Problem::unknown_user()),
        KnownErasure::Scheduled { .. } => {}
        _ => return Err(none_scheduled()),
    }
    context.record_write().await?;
    match state.erasures.undo(user).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        // Somebody was faster.
        Err(ErasureError::Unknown) => Err(none_scheduled()),
        Err(error) => Err(error.into()),
    }
}

fn none_scheduled() -> Problem {
    Problem::new(Code::UnknownResource, "no erasure of this profile is scheduled: one that has begun cannot be undone")
}
