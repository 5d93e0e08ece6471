//! `GET /api/v2/exports/{job}/download`: the file of a job, decrypted piece by piece as it is sent.

use std::ops::Range;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use bytes::Bytes;
use domain::export::{ExportJob, JobState};
use domain::port::table::{TableError, TableFile, TableFormat};
use futures_util::{FutureExt, Stream, stream};
use serde_json::Value;

use super::range::{self, Part};
use super::state::{ExportState, job_id, note_job};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::expiry::Expiry;
use crate::http::transport;

/// Maximum number of bytes that are decrypted at once. What is decrypted and not yet sent when the file is removed still reaches
/// its client: one piece at most, and what the system's send buffer holds.
const PIECE: usize = 64 << 10;

/// Answers with the file, or with the part that `Range` names.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<ExportState>) -> Result<HttpResponse, Problem> {
    let id = job_id(context)?;
    let job = state.job(context).await?.borrow().clone();
    if job.state() != JobState::Done {
        return Err(Problem::new(
            Code::NotReady,
            "the job has no file: its status says whether it is at work or has ended without one",
        ));
    }
    let gone = || Problem::new(Code::ExportGone, "the file has been deleted: start the export again");
    if job.result().is_none_or(|result| result.expires_at <= state.clock.now_micros()) {
        return Err(gone());
    }
    let exports = state.exports.clone();
    let opened = tokio::task::spawn_blocking(move || exports.open(id)).await.map_err(|_| unreadable())?;
    let file = opened.map_err(|error| {
        tracing::error!(%error, "the file of an export could not be opened");
        unreadable()
    })?;
    let file = file.ok_or_else(gone)?;
    let format = format(&job);
    // A file never changes, so the id of its job names its content.
    let etag = format!("\"{id}\"");
    let headers = context.headers();
    let if_range = headers.get(header::IF_RANGE).map(|tag| tag.as_bytes() == etag.as_bytes());
    let asked = headers.get(header::RANGE).filter(|_| if_range != Some(false)).and_then(|range| range.to_str().ok());
    let (length, part) = (file.length(), range::parse(asked, file.length()));
    note_job(context, id);
    context.record_write().await?;
    transport::bound_send_buffer(&context.request);
    let (mut answer, first, end) = match part {
        Part::Unsatisfiable => {
            let range = HeaderValue::from_str(&format!("bytes */{length}")).map_err(|_| unreadable())?;
            return Err(Problem::new(Code::RangeNotSatisfiable, "the range is outside of the file")
                .with_header(header::CONTENT_RANGE, range));
        }
        Part::Whole => (HttpResponse::Ok(), 0, length),
        Part::Bytes { first, last } => {
            let mut answer = HttpResponse::PartialContent();
            answer.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
            (answer, first, last + 1)
        }
    };
    Ok(answer
        .insert_header((header::CONTENT_TYPE, format.media_type()))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{}\"", format.name())))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .no_chunking(end - first)
        .streaming(pieces(file, first..end, state.expiry(&context.caller))))
}

/// Returns the format of the file, from the canonical form of the request.
fn format(job: &ExportJob) -> TableFormat {
    let request: Value = serde_json::from_str(&job.request).unwrap_or_default();
    request["format"].as_str().and_then(TableFormat::parse).unwrap_or(TableFormat::Parquet)
}

/// Returns the bytes of a range. Each piece is read when the one before has been taken, and none when the caller is not
/// accepted any more, or when the file was removed: its time is over, its owner has deleted it, or somebody in it was erased.
fn pieces(
    file: Arc<dyn TableFile>,
    range: Range<u64>,
    expiry: Expiry,
) -> impl Stream<Item = Result<Bytes, TableError>> {
    stream::try_unfold((range.start, expiry), move |(at, expiry)| {
        let (file, end) = (file.clone(), range.end);
        async move {
            if at >= end {
                return Ok(None);
            }
            if expiry.expired().now_or_never().is_some() {
                return Err(TableError::Damaged("the caller is not accepted any more".to_owned()));
            }
            // Each piece ends where a sealed chunk of the file ends, so that none is decrypted twice.
            let length = (PIECE as u64 - at % PIECE as u64).min(end - at) as usize;
            let read = tokio::task::spawn_blocking(move || file.read(at, length)).await;
            let bytes = read.map_err(|_| TableError::Damaged("reading has ended early".to_owned()))??;
            if bytes.is_empty() {
                return Err(TableError::Damaged("it has become shorter".to_owned()));
            }
            let next = at + bytes.len() as u64;
            Ok(Some((Bytes::from(bytes), (next, expiry))))
        }
    })
}

fn unreadable() -> Problem {
    Problem::new(Code::Unavailable, "the file cannot be read now: try again")
}
