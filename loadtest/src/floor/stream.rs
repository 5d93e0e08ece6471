//! Answers a stream of NDJSON as the server does: with a line of progress every 10,000 events that are synced, and a
//! total.

use super::line_checker::{CheckedLines, LineChecker};
use super::log::DurableLog;
use crate::tally::Tally;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Payload};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, unfold};
use serde_json::json;
use tokio::sync::oneshot::Receiver;

/// The media type of the stream and of its answer.
pub(super) const CONTENT_TYPE: &str = "application/x-ndjson";
/// Number of events between two lines of progress.
const PROGRESS: u64 = 10_000;
/// Maximum number of pieces of a stream that wait to be synced.
const MAX_PENDING: usize = 64;

/// Answers a stream.
pub(super) fn answer(payload: Payload, log: Data<DurableLog>) -> HttpResponse {
    let stream = FloorStream {
        payload,
        log,
        lines: LineChecker::default(),
        pending: FuturesOrdered::new(),
        synced: 0,
        is_read: false,
    };
    let results = unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        let line = stream.next_line().await;
        let next = matches!(line, Ok((_, false)));
        Some((line.map(|(line, _)| Bytes::from(line)).map_err(std::io::Error::other), next.then_some(stream)))
    });
    HttpResponse::Ok().content_type(CONTENT_TYPE).streaming(Box::pin(results))
}

/// A stream that is being read.
struct FloorStream {
    payload: Payload,
    log: Data<DurableLog>,
    lines: LineChecker,
    /// The pieces that wait to be synced.
    pending: FuturesOrdered<PendingPiece>,
    /// Number of events that are synced.
    synced: u64,
    is_read: bool,
}

type PendingPiece = std::pin::Pin<Box<dyn Future<Output = Result<u64>>>>;

async fn wait(count: u64, synced: Receiver<()>) -> Result<u64> {
    synced.await.context("the log could not be synced")?;
    Ok(count)
}

impl FloorStream {
    /// Reads the stream up to the next line of its answer. Returns the line, and whether it is the last.
    async fn next_line(&mut self) -> Result<(String, bool)> {
        let before = self.synced;
        while !self.is_read || !self.pending.is_empty() {
            tokio::select! {
                biased;
                Some(count) = self.pending.next() => self.synced += count?,
                piece = self.payload.next(), if !self.is_read && self.pending.len() < MAX_PENDING => match piece {
                    Some(piece) => {
                        let piece = piece.ok().context("the client ended the stream")?;
                        let lines = self.lines.take(&piece)?;
                        append(&self.log, &lines, &mut self.pending);
                    }
                    None => {
                        append(&self.log, &self.lines.finish()?, &mut self.pending);
                        self.is_read = true;
                    }
                },
            }
            if self.synced / PROGRESS > before / PROGRESS {
                return Ok((self.line("progress"), false));
            }
        }
        Ok((self.line("total"), true))
    }

    fn line(&self, name: &str) -> String {
        let tally = Tally { applied: self.synced, ..Tally::default() };
        let mut line = json!(tally);
        line[name] = self.synced.into();
        format!("{line}\n")
    }
}

fn append(log: &DurableLog, lines: &CheckedLines<'_>, pending: &mut FuturesOrdered<PendingPiece>) {
    if lines.count > 0 {
        let synced = log.append(&[&lines.first, lines.others]);
        pending.push_back(Box::pin(wait(lines.count, synced)));
    }
}
