//! The floor of a durable feed: a bare actix handler that reads the same requests as the server, checks that each event
//! is JSON, appends it to a log, and answers when the log is synced. It runs in a process of its own, with the server's
//! allocator and number of threads.
//!
//! What the server does beyond this is its own work: validation, merging, encryption, checkpoints. The comparison in one
//! run shows how much that costs on this machine.

mod line_checker;
mod log;
mod segments;
mod stream;

use crate::bare;
use crate::process::Process;
use actix_web::http::header;
use actix_web::web::{Bytes, Data, Payload, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use anyhow::{Context, Result};
use log::DurableLog;
use serde::de::IgnoredAny;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The floor's process, with the temporary directory of its log.
pub(crate) struct Floor {
    pub(crate) process: Process,
    /// Removed when dropped, after the process.
    _directory: TempDir,
}

impl Floor {
    /// Starts the floor, which is part of `program`, with its log in a new directory in `scratch`.
    pub(crate) fn start(program: &Path, scratch: &Path, workers: usize) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("loadtest-floor-").tempdir_in(scratch);
        let directory = directory.with_context(|| format!("could not make a directory in `{}`", scratch.display()))?;
        let mut command = Command::new(program);
        command.args(["floor", "--workers", &workers.to_string(), "--directory"]).arg(directory.path());
        Ok(Self { process: Process::start(&mut command)?, _directory: directory })
    }
}

/// Runs the handler until the process is killed. The log is written in `directory`.
pub(crate) fn run(workers: usize, directory: &Path) -> Result<()> {
    let log = DurableLog::start(directory)?;
    bare::serve(workers, move |routes: &mut ServiceConfig| {
        routes.app_data(Data::new(log.clone())).route("/api/v2/feeds/{source}", web::post().to(take));
    })
}

/// Takes one event, or a stream of events.
async fn take(request: HttpRequest, payload: Payload, log: Data<DurableLog>) -> actix_web::Result<HttpResponse> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes() == stream::CONTENT_TYPE.as_bytes()) {
        return Ok(stream::answer(payload, log));
    }
    let body = Bytes::from_request(&request, &mut payload.into_inner()).await?;
    Ok(take_one(&body, &log).await)
}

async fn take_one(event: &Bytes, log: &DurableLog) -> HttpResponse {
    if serde_json::from_slice::<IgnoredAny>(event).is_err() {
        return HttpResponse::BadRequest().finish();
    }
    match log.append(&[event, b"\n"]).await {
        Ok(()) => HttpResponse::Ok().content_type("application/json").body(r#"{"status":"applied"}"#),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
