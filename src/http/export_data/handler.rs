//! The handler: it reads what the document begins with, and leaves the rest to the stream.

use std::io;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::reading::{ReadDocuments, ReadProvenance};
use bytes::Bytes;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;
use futures_util::{Stream, stream};

use super::document::Document;
use super::head;
use super::state::ExportDataState;
use crate::http::audit::Disclosed;
use crate::http::problem::{Code, Problem};
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::expiry::Expiry;

/// Answers with the document. What the profile holds now is read first, so that a user who cannot be read is answered with a
/// problem.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<ExportDataState>,
) -> Result<HttpResponse, Problem> {
    let (user, caller) = (context.user()?, Arc::clone(&context.caller));
    let busy = || {
        Problem::new(
            Code::Busy,
            "the server sends as many exports as it may, to all or to this caller: try again when one has ended",
        )
    };
    let permit = state.permits.take(caller.subject()).ok_or_else(busy)?;
    let reading = ReadProvenance { schema: SchemaVersion::CANONICAL, leaves: LeafSet::ALL };
    let read = state.profiles.read(user, &caller.viewer, reading);
    let found = read_within(state.request_timeout, &caller.viewer, read).await?;
    let read = state.profiles.read(user, &caller.viewer, ReadDocuments);
    let documents = read_within(state.request_timeout, &caller.viewer, read).await?;
    if found.view.generation != documents.generation {
        return Err(Problem::new(Code::Busy, "the citizen was erased meanwhile: try again"));
    }
    let leaves = found.view.class.leaves().or(documents.leaves);
    context.disclose(Disclosed::new(leaves, found.view.generation));
    let head = head::render(&user, state.clock.now_micros(), &caller, &found, &documents);
    let expiry = Expiry::new(&state.verifier, &caller, state.closing.clone());
    let document = Document::new(state, user, caller, found.view.revision, head, expiry, permit);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"export-data.json\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(pieces(document)))
}

/// Returns the pieces of the document. Each is made when the one before has been taken.
fn pieces(document: Document) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(document, async |mut document: Document| {
        let piece = document.next().await.map_err(|problem| {
            tracing::warn!(problem = problem.name(), "an export of what is held about a citizen ends early");
            io::Error::other(problem.name())
        })?;
        Ok(piece.map(|piece| (Bytes::from(piece), document)))
    })
}
