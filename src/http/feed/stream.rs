//! `application/x-ndjson`: a stream of events, one per line, which is answered by a stream of results at the same time.
//!
//! A separate task reads the request, so reading continues while the client does not read the response. Results wait in
//! the spool.

use std::future::pending;
use std::io;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpResponse, rt};
use domain::source::Source;
use serde::Serialize;

use super::intake::Intake;
use super::line_splitter::{LineSplitter, StreamLine};
use super::result::Tally;
use super::spool::{self, SpoolWriter};
use super::state::FeedState;
use crate::http::problem::{self, Code, Problem};
use crate::http::request::body;
use crate::http::request::expiry::{Expired, Expiry};
use crate::http::request::in_flight::{Purpose, Reservation};
use crate::http::request::write_timeout::WriteTimeoutGuard;

/// The media type of the stream and of its answer.
pub(super) const CONTENT_TYPE: &str = "application/x-ndjson";

/// Number of results between two progress lines.
const PROGRESS: u64 = 10_000;

/// A progress line: the number of events that have a result.
#[derive(Serialize)]
struct Progress {
    progress: u64,
    #[serde(flatten)]
    tally: Tally,
}

/// The last line of the answer. Its problem says why the stream was not read to its end.
#[derive(Serialize)]
struct Total<'a> {
    total: u64,
    #[serde(flatten)]
    tally: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<problem::ProblemBody<'a>>,
}

/// Starts the task of a stream, and answers with the results that it will write.
///
/// `write_timeout` is suspended while the client sends. The stream ends at `expiry`.
///
/// # Errors
/// The memory budget has no room.
pub(super) fn answer(
    state: Data<FeedState>,
    source: Source,
    report_all: bool,
    payload: Payload,
    write_timeout: WriteTimeoutGuard,
    expiry: Expiry,
) -> Result<HttpResponse, Problem> {
    let held = state.in_flight.reserve(Purpose::Feed);
    let memory = state.in_flight.reserve(Purpose::Feed);
    let (writer, reader) = spool::spool(state.spool_dir.clone(), state.spool_space.clone(), memory)?;
    rt::spawn(async move {
        let intake = Intake::new(&state, source, report_all, None);
        let stream = FeedStream {
            intake,
            out: &writer,
            write_timeout: &write_timeout,
            expiry,
            held,
            line: Vec::new(),
            last_progress: 0,
        };
        if let Err(error) = stream.run(&state, payload).await {
            tracing::warn!(%error, "the results of a stream could not be stored: its client must send the stream again");
            writer.fail(error);
        }
        drop(writer);
        write_timeout.end().await;
    });
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, CONTENT_TYPE)).body(reader))
}

/// A stream of events that is being read.
struct FeedStream<'a> {
    intake: Intake<'a>,
    out: &'a SpoolWriter,
    write_timeout: &'a WriteTimeoutGuard,
    expiry: Expiry,
    /// Counts an incomplete line against the memory budget.
    held: Reservation,
    /// A buffer for the line that is written.
    line: Vec<u8>,
    /// Number of results at the last progress line.
    last_progress: u64,
}

impl FeedStream<'_> {
    /// Reads the stream, and writes all results and the last line.
    async fn run(mut self, state: &FeedState, payload: Payload) -> io::Result<()> {
        let ended = self.read(state, payload).await?;
        self.intake.finish().await;
        self.report()?;
        let tally = self.intake.tally();
        let problem = ended.as_ref().map(|problem| problem.body(None, None));
        self.write(&Total { total: tally.total(), tally, problem })
    }

    /// Reads to the end of the body. Returns the problem that ended it early; `None` at its end, or if nobody reads the
    /// answer.
    async fn read(&mut self, state: &FeedState, mut payload: Payload) -> io::Result<Option<Problem>> {
        let mut lines = LineSplitter::new(state.limits.max_event_bytes);
        let mut expired = pin!(self.expiry.expired());
        loop {
            let piece = tokio::select! {
                biased;
                expired = &mut expired => return Ok(Some(ended(expired))),
                () = self.intake.settle_next(), if self.intake.is_waiting() => None,
                piece = body::next(&mut payload, state.limits.body_timeout) => Some(piece),
            };
            let is_last = matches!(piece, Some(Ok(None)));
            match piece {
                None | Some(Ok(None)) => {}
                Some(Err(problem)) => return Ok(Some(problem)),
                Some(Ok(Some(piece))) => lines.push(piece),
            }
            if let ControlFlow::Break(ended) = self.take_all(&mut lines, is_last, expired.as_mut()).await? {
                return Ok(ended);
            }
            self.report()?;
            if is_last {
                return Ok(None);
            }
            if let ControlFlow::Break(ended) = self.wait_for_room(expired.as_mut()).await? {
                return Ok(ended);
            }
            // A body that is always ready would keep the worker's other requests waiting.
            tokio::task::yield_now().await;
        }
    }

    /// Takes all complete lines, unless the stream ends. One piece may contain thousands of lines, each with a result
    /// that is longer than the line, so there must be room for results before every line and not only before every
    /// piece.
    async fn take_all(
        &mut self,
        lines: &mut LineSplitter,
        is_last: bool,
        mut expired: Pin<&mut impl Future<Output = Expired>>,
    ) -> io::Result<ControlFlow<Option<Problem>>> {
        while let Some(line) = lines.next().or_else(|| if is_last { lines.finish() } else { None }) {
            if let Some(expired) = self.expiry.is_expired() {
                return Ok(ControlFlow::Break(Some(ended(expired))));
            }
            match line {
                StreamLine::Whole(text) => self.intake.take(&text).await,
                StreamLine::TooLong => self.intake.take_too_large().await,
            }
            self.report()?;
            if self.out.is_full() {
                let waited = self.wait_for_room(expired.as_mut()).await?;
                if waited.is_break() {
                    return Ok(waited);
                }
            }
        }
        // Never waits: two streams that each have half of a line in memory would block each other.
        self.held.shrink_to(lines.held_bytes());
        Ok(match self.held.grow_to(lines.held_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(no_room) => ControlFlow::Break(Some(no_room.into())),
        })
    }

    /// Waits until results may be added. Breaks if nobody reads them any more, or with a problem when the stream
    /// expires.
    async fn wait_for_room(
        &self,
        expired: Pin<&mut impl Future<Output = Expired>>,
    ) -> io::Result<ControlFlow<Option<Problem>>> {
        // The client has to read now, but the stream also continues when another one releases a file.
        let must_read = async {
            self.write_timeout.end().await;
            pending::<()>().await
        };
        tokio::select! {
            biased;
            has_room = self.out.has_room() => if !has_room? {
                return Ok(ControlFlow::Break(None));
            },
            expired = expired => return Ok(ControlFlow::Break(Some(ended(expired)))),
            () = must_read => {}
        }
        self.write_timeout.renew();
        Ok(ControlFlow::Continue(()))
    }

    /// Writes the new results, and a progress line if one is due.
    fn report(&mut self) -> io::Result<()> {
        let outcomes: Vec<_> = self.intake.reports().collect();
        for outcome in outcomes {
            self.write(&outcome.line())?;
        }
        let tally = self.intake.tally();
        let reached = tally.total() / PROGRESS * PROGRESS;
        if reached > self.last_progress {
            self.last_progress = reached;
            self.write(&Progress { progress: tally.total(), tally })?;
        }
        Ok(())
    }

    /// Writes a line of the answer.
    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.out.push(&self.line)
    }
}

/// Returns the problem of a stream that has expired.
fn ended(expired: Expired) -> Problem {
    match expired {
        Expired::Stopping => {
            Problem::new(Code::Unavailable, "the server is stopping: send the events without a result again")
        }
        Expired::Token => {
            Problem::new(Code::InvalidToken, "the token has expired: send the events without a result again")
        }
        Expired::Revoked => {
            Problem::new(Code::InvalidToken, "the token was revoked: send the events without a result with another")
        }
    }
}
