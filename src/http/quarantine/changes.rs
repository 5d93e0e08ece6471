//! Letting users out of quarantine.

use actix_web::HttpResponse;
use actix_web::rt::spawn;
use actix_web::web::Data;
use actors::DiscardedUser;
use domain::id::UserId;
use serde_json::{Value, json};
use store::{Quarantine, QuarantineError, ReleasedUser, UserKey};

use super::state::{QuarantineState, key};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::CONFIRM;
use crate::http::request::query;

/// Folds the frames of a user again.
pub(in crate::http) async fn retry(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    release(context, state, Quarantine::retry).await
}

/// Drops the frames of a user. The query repeats the key, so that a slip of the hand drops nothing.
pub(in crate::http) async fn drop_frames(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    let confirmed = query::single(context.query(), &CONFIRM)?;
    if confirmed.as_deref() != Some(context.request.match_info().query("key")) {
        return Err(Problem::new(
            Code::InvalidParameter,
            "`confirm` must repeat the key of the path: what is dropped cannot be read again",
        ));
    }
    release(context, state, Quarantine::drop_frames).await
}

/// Records the change, forgets what memory holds of the user, and changes the stored state.
async fn release(
    context: &RequestContext,
    state: Data<QuarantineState>,
    change: fn(&Quarantine, UserKey) -> Result<ReleasedUser, QuarantineError>,
) -> Result<HttpResponse, Problem> {
    let key = key(context)?;
    context.concerns("user_key", key.to_string());
    let user = state.with(move |quarantine| quarantine.user(key)).await?;
    if let Some(user) = user {
        context.set_user(user);
    }
    context.record_write().await?;
    let done = change_stored(state, user, move |quarantine| change(quarantine, key)).await?;
    Ok(super::no_store().json(released(key, &done)))
}

/// Changes what is stored of a user. Memory forgets the user before, and while the user is in quarantine nothing loads it; it is
/// loaded again afterwards. All of that is done although the caller may go away meanwhile.
pub(super) async fn change_stored(
    state: Data<QuarantineState>,
    user: Option<UserId>,
    change: impl FnOnce(&Quarantine) -> Result<ReleasedUser, QuarantineError> + Send + 'static,
) -> Result<ReleasedUser, Problem> {
    let task = spawn(async move {
        // Held until the user can be loaded again, so that subscribers get the new state.
        let _subscribers = match user {
            Some(user) => Some(discard(&state, user).await?),
            None => None,
        };
        let done = state.with(change).await?;
        state.profiles.reload(done.user);
        Ok(done)
    });
    task.await.map_err(|_| Problem::new(Code::Internal, "the change has failed"))?
}

async fn discard(state: &QuarantineState, user: UserId) -> Result<DiscardedUser, Problem> {
    let busy = |_| Problem::new(Code::Busy, "the user is busy: try again");
    state.profiles.discard(user).await.map_err(busy)
}

/// Returns what the answer says of a user who is out of quarantine.
pub(super) fn released(key: UserKey, user: &ReleasedUser) -> Value {
    let ReleasedUser { sequence, folded, lost, .. } = *user;
    json!({ "key": key.to_string(), "sequence": sequence, "folded": folded, "lost": lost })
}
