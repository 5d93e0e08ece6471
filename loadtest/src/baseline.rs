//! The baseline for reads: a bare actix handler in a process of its own that sends a prepared response. `/same` sends
//! headers and body, `/bare` only the body, and a POST to `/pieces` headers and body in pieces, as a stream is sent.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{HttpResponse, web};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::process::Process;

/// The path that returns headers and body.
pub(crate) const SAME: &str = "/same";
/// The path that returns only the body.
pub(crate) const BARE: &str = "/bare";

/// The path that takes a body and returns headers and body in pieces.
pub(crate) const PIECES: &str = "/pieces";
/// The size of a piece, in bytes.
const PIECE: usize = 64 * 1_024;

/// The response to send. The handler's process reads it from stdin, as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredResponse {
    headers: Vec<(String, String)>,
    body: String,
}

impl StoredResponse {
    /// Takes over a response of the server, without the headers that every HTTP server adds.
    pub(crate) fn from_response(head: &[u8], body: &[u8]) -> Self {
        const BY_ITSELF: [&str; 4] = ["content-length", "date", "connection", "transfer-encoding"];
        let head = String::from_utf8_lossy(head);
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        let headers = headers.filter(|(name, _)| !BY_ITSELF.contains(&name.as_str())).collect();
        Self { headers, body: String::from_utf8_lossy(body).into_owned() }
    }

    /// Returns the number of headers, without those that every HTTP server adds.
    pub(crate) fn header_count(&self) -> usize {
        self.headers.len()
    }

    /// Starts a process that serves this response.
    pub(crate) fn serve(&self, program: &std::path::Path, workers: usize) -> Result<Process> {
        let mut file = tempfile::tempfile().context("could not make a file for the response")?;
        file.write_all(&serde_json::to_vec(self).context("an response that is not JSON")?)
            .context("could not write it")?;
        std::io::Seek::rewind(&mut file).context("could not rewind it")?;
        let mut command = Command::new(program);
        command.args(["baseline", "--workers", &workers.to_string()]).stdin(Stdio::from(file));
        Process::start(&mut command)
    }
}

struct PreparedResponse {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

async fn same(prepared: Data<PreparedResponse>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for (name, value) in &prepared.headers {
        response.insert_header((name.clone(), value.clone()));
    }
    response.body(prepared.body.clone())
}

async fn pieces(_request: Bytes, prepared: Data<PreparedResponse>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for (name, value) in &prepared.headers {
        response.insert_header((name.clone(), value.clone()));
    }
    let mut rest = prepared.body.clone();
    let piece = move || {
        let piece = rest.split_to(PIECE.min(rest.len()));
        (!piece.is_empty()).then_some(Ok::<_, std::convert::Infallible>(piece))
    };
    response.streaming(futures_util::stream::iter(std::iter::from_fn(piece)))
}

async fn bare(prepared: Data<PreparedResponse>) -> HttpResponse {
    HttpResponse::Ok().body(prepared.body.clone())
}

/// Runs the handler until it is killed.
pub(crate) fn run(workers: usize) -> Result<()> {
    let mut response = Vec::new();
    std::io::stdin().read_to_end(&mut response).context("could not read the response from stdin")?;
    let StoredResponse { headers, body } =
        serde_json::from_slice(&response).context("the response on stdin is not JSON")?;
    let headers: Result<Vec<_>> = headers
        .into_iter()
        .map(|(name, value)| Ok((HeaderName::try_from(name)?, HeaderValue::try_from(value)?)))
        .collect();
    let prepared =
        Data::new(PreparedResponse { headers: headers.context("a header that cannot be sent")?, body: body.into() });
    crate::bare::serve(workers, move |routes: &mut ServiceConfig| {
        routes.app_data(prepared.clone()).route(SAME, web::get().to(same)).route(BARE, web::get().to(bare));
        routes.route(PIECES, web::post().to(pieces));
    })
}
