//! Listing and inspecting.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::day::format_instant;
use serde_json::{Value, json};
use store::{InspectedFrame, ListedUser, UserKey};

use super::state::{QuarantineState, key};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::query;

/// Users of a page, by default and at most.
const PAGE: (usize, usize) = (50, 200);

/// Answers with a page of the users in quarantine.
pub(in crate::http) async fn list(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    let (after, limit) = page(context.query())?;
    let page = state.with(move |quarantine| Ok(quarantine.page(after, limit)?)).await?;
    let items: Vec<Value> = page.users.iter().map(listed).collect();
    let next = page.next.map(|next| next.to_string());
    Ok(super::no_store().json(json!({ "items": items, "next_cursor": next })))
}

/// Answers with the frames of a user.
pub(in crate::http) async fn inspect(
    context: &RequestContext,
    state: Data<QuarantineState>,
) -> Result<HttpResponse, Problem> {
    let key = key(context)?;
    context.concerns("user_key", key.to_string());
    let inspected = state.with(move |quarantine| quarantine.inspect(key)).await?;
    let mut answer = listed(&inspected.listed);
    answer["state_sequence"] = json!(inspected.state_sequence);
    answer["items"] = inspected.frames.iter().map(frame).collect();
    answer["has_more"] = json!(inspected.has_more);
    Ok(super::no_store().json(answer))
}

fn listed(user: &ListedUser) -> Value {
    let (slot, generation) = user.slot.unzip();
    json!({
        "key": user.key.to_string(),
        "frames": user.frames,
        "bytes": user.bytes,
        "first_sequence": user.first_sequence,
        "last_sequence": user.last_sequence,
        "slot": slot,
        "generation": generation,
        "reason": user.reason.map(|reason| reason.name()),
        "message": user.message,
        "since": user.since.map(format_instant),
    })
}

fn frame(frame: &InspectedFrame) -> Value {
    let InspectedFrame { sequence, kind, bytes, opens, folds } = *frame;
    json!({ "sequence": sequence, "kind": kind, "bytes": bytes, "opens": opens, "folds": folds })
}

/// Returns the cursor and the size of the page that is asked for.
fn page(text: &str) -> Result<(Option<UserKey>, usize), Problem> {
    let invalid = |detail| Problem::new(Code::InvalidParameter, detail);
    let limit = match query::single(text, "limit")? {
        None => PAGE.0,
        Some(given) => {
            let limit = given.parse().ok().filter(|limit| (1..=PAGE.1).contains(limit));
            limit.ok_or_else(|| invalid("`limit` must be an integer from 1 to 200"))?
        }
    };
    let after = match query::single(text, "cursor")? {
        None => None,
        Some(given) => {
            let after = UserKey::parse(&given);
            Some(after.ok_or_else(|| invalid("`cursor` must be the `next_cursor` of the page before"))?)
        }
    };
    Ok((after, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_50_users_unless_the_caller_says_otherwise() {
        let key = UserKey([9; 16]);
        assert_eq!(page("").ok(), Some((None, 50)));
        assert_eq!(page(&format!("limit=200&cursor={key}")).ok(), Some((Some(key), 200)));
        for text in ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=", "limit=1&limit=2"] {
            assert!(page(text).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
    }
}
