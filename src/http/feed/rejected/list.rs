//! Listing the dead letters of a source, the newest first.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::day::format_instant;
use domain::id::UserId;
use domain::port::dead_letters::{LetterId, StoredLetter};
use serde::Serialize;

use super::state::{RejectedState, source};
use crate::http::problem::Problem;
use crate::http::request::caller::{Caller, Role, Scope};
use crate::http::request::context::RequestContext;
use crate::http::request::page::page;

/// The JSON of a page.
#[derive(Serialize)]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

/// The JSON of a letter. Members that do not apply, or that the caller may not know, are absent.
#[derive(Serialize)]
struct Item {
    id: String,
    rejected_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<UserIdText>,
    problem: ProblemOfLetter,
    can_retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

/// The text of a user id.
#[derive(Serialize)]
#[serde(transparent)]
struct UserIdText(String);

/// Why the event was rejected.
#[derive(Serialize)]
struct ProblemOfLetter {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
}

/// Answers with a page of letters. A cursor names the letter before which the next page begins, so a page stays the same while
/// letters are added.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<RejectedState>,
) -> Result<HttpResponse, Problem> {
    let source = source(context)?;
    let (before, limit) = page(context.query(), decode)?;
    let shows_subject = shows_subject(&context.caller);
    let page = state.with_letters(move |letters| {
        let page = letters.page(source.name(), before, limit)?;
        // The events are dropped here, and not only with the answer.
        let items = page.letters.into_iter().map(|letter| item(letter, shows_subject)).collect();
        Ok(Page { items, next_cursor: page.next.map(encode) })
    });
    let page = page.await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(page))
}

/// Returns whether a caller may know whom an event is about: the engine has sent it, and administrators who read profiles may.
fn shows_subject(caller: &Caller) -> bool {
    caller.role == Role::Service || caller.has(Scope::ProfileRead)
}

fn item(StoredLetter { id, letter }: StoredLetter, shows_subject: bool) -> Item {
    let subject = letter.user.filter(|_| shows_subject).map(|user: UserId| UserIdText(user.as_str().to_owned()));
    let bytes = letter.body.as_ref().map(Vec::len);
    Item {
        id: id.to_string(),
        rejected_at: format_instant(letter.rejected_at),
        event_id: letter.event_id,
        event_type: letter.event_type,
        subject,
        problem: ProblemOfLetter { r#type: format!("/problems/{}", letter.problem), pointer: letter.pointer },
        can_retry: bytes.is_some(),
        bytes,
    }
}

fn decode(cursor: &str) -> Option<LetterId> {
    URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok().map(LetterId)
}

/// Returns the text of a cursor. It tells nothing that its holder may not read, so it is neither encrypted nor signed.
fn encode(LetterId(before): LetterId) -> String {
    URL_SAFE_NO_PAD.encode(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_text_is_refused() {
        let id = LetterId([7; 16]);
        assert_eq!(decode(&encode(id)), Some(id));
        for text in ["", "AAAA", "?", "rej_07"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
