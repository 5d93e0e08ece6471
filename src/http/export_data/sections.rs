//! The sections that are read piece by piece: each returns some items as JSON, and where to go on.

use std::sync::Arc;

use actors::history::{ListedCause, ListedRevision, ReplayedPage, ReplayedRevision, RevisionContent, RevisionRange};
use actors::snapshots::SnapshotPosition;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::day::format_instant;
use domain::port::audit_trail::{AuditCursor, AuditQuery};
use domain::port::dead_letters::{LetterPosition, StoredLetter};
use domain::schema_version::SchemaVersion;
use serde_json::{Value, json};

use super::document::Document;
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::access::read_within;
use crate::http::request::caller::{Caller, Role};
use crate::http::snapshots::snapshot_json;
use crate::json_text;

/// Snapshots, and entries of the audit log, that are read at once.
const PAGE: usize = 100;

/// What is held elsewhere: what it is, and why it is not repeated.
pub(super) static HELD_ELSEWHERE: [(&str, &str); 7] = [
    (
        "journal",
        "the changes since the last checkpoint, and for followers those of a day: the revisions above are made of them",
    ),
    ("columns", "a row of codes for exports, derived from the profile"),
    ("bulk exports", "files for a day: anonymised records that do not name the citizen, or totals"),
    ("sessions", "hashes of the session secrets of the citizen's pages, until they expire"),
    ("revocations", "ids of tokens that were revoked, until the tokens have expired"),
    ("rate limits", "counts of the last minutes, in memory only"),
    ("backups", "encrypted copies of what is above, as the operator keeps them"),
];

/// Whether the export leaves out who has accessed the profile: that log is for the citizen and for auditors.
pub(super) fn omits_access_log(caller: &Caller) -> bool {
    caller.role != Role::SelfCitizen
}

/// Returns the sections that the caller does not receive.
pub(super) fn omitted(caller: &Caller) -> Vec<&'static str> {
    if omits_access_log(caller) { vec!["access_log"] } else { Vec::new() }
}

/// Returns the JSON of something that is held elsewhere.
pub(super) fn elsewhere((what, why): &(&str, &str)) -> Value {
    json!({ "what": what, "why": why })
}

/// Reads revisions.
pub(super) async fn revisions(document: &Document, range: RevisionRange) -> Result<ReplayedPage, Problem> {
    let Document { state, user, caller, .. } = document;
    let read = state.profiles.replayed_revisions(*user, &caller.viewer, SchemaVersion::CANONICAL, range);
    read_within(state.request_timeout, &caller.viewer, read).await
}

/// Returns the JSON of a revision.
pub(super) fn revision(step: &ReplayedRevision) -> String {
    let ListedRevision { revision, generated_at, changed, cause } = &step.listed;
    let head = json!({
        "revision": revision,
        "generated_at": format_instant(*generated_at),
        "changed": changed,
        "cause": cause.as_ref().map(cause_json),
    });
    let (name, content) = match &step.content {
        RevisionContent::Profile(profile) => ("profile", String::from_utf8_lossy(profile)),
        RevisionContent::Operations(operations) => ("operations", operations.into()),
    };
    // The content is JSON text already.
    format!("{{{},\"{name}\":{content}}}", json_text::members(&head))
}

/// Returns the JSON of the consent that a revision has changed; `None` if it has not.
pub(super) fn consent(step: &ReplayedRevision) -> Option<String> {
    let consent = step.consent.as_ref()?;
    let ListedRevision { revision, generated_at, cause, .. } = &step.listed;
    let head = json!({
        "revision": revision,
        "generated_at": format_instant(*generated_at),
        "cause": cause.as_ref().map(cause_json),
    });
    Some(format!("{{{},\"consent\":{consent}}}", json_text::members(&head)))
}

fn cause_json(cause: &ListedCause) -> Value {
    let ListedCause { kind, source, event_id, person } = cause;
    json!({ "kind": kind, "source": source, "event_id": event_id, "person": person })
}

/// Reads snapshots.
pub(super) async fn snapshots(
    document: &Document,
    after: Option<SnapshotPosition>,
) -> Result<(Vec<String>, Option<SnapshotPosition>), Problem> {
    let Document { state, user, caller, .. } = document;
    let read = state.profiles.snapshots(*user, &caller.viewer, (after, PAGE), caller.sees_serving());
    let page = read_within(state.request_timeout, &caller.viewer, read).await?;
    Ok((page.items.iter().map(|item| snapshot_json(item).to_string()).collect(), page.next))
}

/// Reads dead letters. An event may speak of any field, so only callers who see all of them receive it.
pub(super) async fn letters(
    document: &Document,
    from: Option<LetterPosition>,
) -> Result<(Vec<String>, Option<LetterPosition>), Problem> {
    let Document { state, user, caller, .. } = document;
    let schema = SchemaVersion::CANONICAL;
    let read = state.profiles.view(*user, &caller.viewer, schema);
    let view = read_within(state.request_timeout, &caller.viewer, read).await?;
    let shows_event = view.class.leaves() == schema.leaves();
    let (letters, user) = (Arc::clone(&state.letters), *user);
    let read = blocking(move || {
        let page = letters.about(&user, from)?;
        let items = page.letters.into_iter().map(|letter| letter_json(letter, shows_event)).collect();
        Ok((items, page.next))
    });
    read.await?.map_err(|error: domain::port::store::StoreError| unreadable(&error))
}

fn letter_json(StoredLetter { id, letter }: StoredLetter, shows_event: bool) -> String {
    let mut json = json!({
        "id": id.to_string(),
        "rejected_at": format_instant(letter.rejected_at),
        "source": letter.source,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "problem": { "type": format!("/problems/{}", letter.problem), "pointer": letter.pointer },
    });
    if let Some(body) = letter.body.filter(|_| shows_event) {
        match String::from_utf8(body) {
            Ok(text) => json["event"] = Value::String(text),
            Err(error) => json["event_base64"] = Value::String(STANDARD.encode(error.as_bytes())),
        }
    }
    json.to_string()
}

/// Reads entries of the audit log about the citizen, the newest first.
pub(super) async fn access_log(
    document: &Document,
    cursor: Option<AuditCursor>,
) -> Result<(Vec<String>, Option<AuditCursor>), Problem> {
    let trail = Arc::clone(&document.state.trail);
    let query = AuditQuery { subject: Some(document.user), cursor, ..AuditQuery::newest(PAGE) };
    let page = blocking(move || trail.query(&query)).await?.map_err(|error| unreadable(&error))?;
    Ok((page.records.into_iter().map(|record| record.line).collect(), page.next))
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "what is held about a citizen could not be read");
    Problem::new(Code::Unavailable, "what is held cannot be read now: try again")
}
