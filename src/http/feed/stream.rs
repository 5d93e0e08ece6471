//! `application/x-ndjson`: events in, one a line, and results out, at the same time.
//!
//! A task of its own reads the request, so that it goes on being read while the client does not read the
//! response; results wait in the spool.

use std::future::pending;
use std::io;

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpResponse, rt};
use domain::source::Source;
use serde::Serialize;

use super::intake::Intake;
use super::lines::{Line, Lines};
use super::outcome::Tally;
use super::spool::{self, Writer};
use crate::http::body;
use crate::http::door::Door;
use crate::http::problem::{self, Code, Problem};
use crate::http::unread::Lifted;

pub(super) const CONTENT_TYPE: &str = "application/x-ndjson";

/// A progress line comes every so many results.
const PROGRESS: u64 = 10_000;

/// So many events have their result by now.
#[derive(Serialize)]
struct Progress {
    progress: u64,
    #[serde(flatten)]
    tally: Tally,
}

/// The last line. A problem says why the stream was not read to its end.
#[derive(Serialize)]
struct Total<'a> {
    total: u64,
    #[serde(flatten)]
    tally: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<problem::Body<'a>>,
}

/// Starts the task, and answers with what it will write.
///
/// `unread` lets the client leave results unread while it sends.
pub(super) fn answer(
    door: Data<Door>,
    source: Source,
    report_all: bool,
    payload: Payload,
    unread: Lifted,
) -> HttpResponse {
    let (writer, reader) = spool::spool(door.spool_dir.clone(), door.spool_space.clone());
    rt::spawn(async move {
        if let Err(error) = run(&door, source, report_all, payload, &writer, &unread).await {
            tracing::warn!(%error, "could not keep the results of a stream: its client must send it again");
            writer.fail(error);
        }
        drop(writer);
        unread.end().await;
    });
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, CONTENT_TYPE)).body(reader)
}

async fn run(
    door: &Door,
    source: Source,
    report_all: bool,
    payload: Payload,
    out: &Writer,
    unread: &Lifted,
) -> io::Result<()> {
    let intake = Intake::new(door, source, report_all, None);
    let mut stream = Stream { intake, out, unread, line: Vec::new(), told: 0 };
    let ended = stream.read(door, payload).await?;
    stream.intake.finish().await;
    stream.report()?;
    let tally = stream.intake.tally();
    let problem = ended.as_ref().map(|problem| problem.body(None, None));
    stream.write(&Total { total: tally.total(), tally, problem })
}

struct Stream<'a> {
    intake: Intake<'a>,
    out: &'a Writer,
    unread: &'a Lifted,
    line: Vec<u8>,
    /// Results at the last progress line.
    told: u64,
}

impl Stream<'_> {
    /// Reads to the end of the body, or to what ends it early.
    async fn read(&mut self, door: &Door, mut payload: Payload) -> io::Result<Option<Problem>> {
        let mut lines = Lines::new(door.http.max_event_bytes);
        let mut closing = door.closing.clone();
        loop {
            let piece = tokio::select! {
                () = self.intake.settle_next(), if self.intake.is_waiting() => None,
                piece = body::next(&mut payload, door.http.client_body_timeout) => Some(piece),
                _ = closing.wait_for(|closing| *closing) => return Ok(Some(stopping())),
            };
            match piece {
                None => {}
                Some(Err(problem)) => return Ok(Some(problem)),
                Some(Ok(Some(piece))) => {
                    lines.push(piece);
                    while let Some(line) = lines.next() {
                        self.take(line).await;
                    }
                }
                Some(Ok(None)) => {
                    if let Some(line) = lines.finish() {
                        self.take(line).await;
                    }
                    return Ok(None);
                }
            }
            self.report()?;
            // Without room it goes on only when the client reads, which it now must.
            let must_read = async {
                self.unread.end().await;
                pending::<()>().await
            };
            tokio::select! {
                biased;
                is_read = self.out.has_room() => if !is_read { return Ok(None) },
                _ = closing.wait_for(|closing| *closing) => return Ok(Some(stopping())),
                () = must_read => {}
            }
            self.unread.renew();
            // A payload that is always ready would keep the worker's other requests waiting.
            tokio::task::yield_now().await;
        }
    }

    async fn take(&mut self, line: Line) {
        match line {
            Line::Whole(text) => self.intake.take(&text).await,
            Line::TooLong => self.intake.take_too_large(),
        }
    }

    fn report(&mut self) -> io::Result<()> {
        let outcomes: Vec<_> = self.intake.reports().collect();
        for outcome in outcomes {
            self.write(&outcome.line())?;
        }
        let tally = self.intake.tally();
        let reached = tally.total() / PROGRESS * PROGRESS;
        if reached > self.told {
            self.told = reached;
            self.write(&Progress { progress: tally.total(), tally })?;
        }
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.out.push(&self.line)
    }
}

fn stopping() -> Problem {
    Problem::new(Code::Unavailable, "the server is stopping: send again what has no result")
}
