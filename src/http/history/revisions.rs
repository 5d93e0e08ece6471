//! `GET …/history`: the revisions of a profile, newest first.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::history::{ListedCause, ListedRevision, RevisionPage};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::day::format_instant;
use serde::Serialize;

use crate::http::audit::Disclosed;
use crate::http::problem::Problem;
use crate::http::read_state::ProfileReadState;
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::page::page;
use crate::json_text;

/// The JSON of a page.
#[derive(Serialize)]
struct Page<'a> {
    items: Vec<Item<'a>>,
    next_cursor: Option<String>,
}

/// The JSON of a revision.
#[derive(Serialize)]
struct Item<'a> {
    revision: u64,
    generated_at: String,
    changed: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause<'a>>,
}

/// The JSON of a cause. Members that do not apply, or that the caller may not learn, are absent.
#[derive(Serialize)]
struct Cause<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<&'a str>,
}

/// Answers with a page of revisions. A page stays the same while revisions are added, as a cursor names the revision before
/// which the next page begins.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    let (before, limit) = page(context.query(), decode)?;
    let viewer = &context.caller.viewer;
    let read = state.profiles.revisions(context.user()?, viewer, before, limit);
    let page = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed::new(page.leaves, page.generation));
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")));
    answer.insert_header((header::VARY, HeaderValue::from_static("Accept, Accept-Encoding, Authorization")));
    Ok(answer.body(json_text::to_bytes(&render(&page))))
}

fn render(page: &RevisionPage) -> Page<'_> {
    let items = page.items.iter().map(|item| {
        let ListedRevision { revision, generated_at, changed, cause } = item;
        let cause = cause.as_ref().map(|ListedCause { kind, source, event_id, person }| Cause {
            kind,
            source: *source,
            event_id: event_id.as_deref(),
            person: person.as_deref(),
        });
        Item { revision: *revision, generated_at: format_instant(*generated_at), changed, cause }
    });
    Page { items: items.collect(), next_cursor: page.next_before.map(encode) }
}

/// Returns the cursor of the page before a revision. It tells nothing that its holder may not read, and today's mask applies
/// to each page anew, so it is neither encrypted nor signed.
fn encode(before: u64) -> String {
    URL_SAFE_NO_PAD.encode(before.to_be_bytes())
}

fn decode(text: &str) -> Option<u64> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_text_is_refused() {
        for before in [1, 42, u64::MAX] {
            assert_eq!(decode(&encode(before)), Some(before));
        }
        for text in ["", "1", "AAAA", "!", "AAAAAAAAAAAA"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
