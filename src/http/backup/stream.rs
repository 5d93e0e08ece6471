//! Sends what a backup reads, as it reads it. A thread reads: it waits for the disk, for the rate, and for a slow client.

use std::io;
use std::thread;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, stream};
use store::backup::BackupError;
use tokio::sync::mpsc;

use crate::http::problem::{Code, Problem};
use crate::http::request::expiry::Expiry;

/// Pieces that are read before the client takes them.
const WAITING_PIECES: usize = 4;

/// Reads the next piece; `None` at the end.
pub(super) type ReadPiece = Box<dyn FnMut() -> io::Result<Option<Bytes>> + Send>;

/// Returns the pieces that `read` returns. It is dropped when the client goes away, when its credentials end, or when the
/// server stops. After an error or a panic the answer is cut off, which a client notices: the end of a backup is missing.
pub(super) fn pieces(mut read: ReadPiece, expiry: Expiry) -> Result<impl Stream<Item = io::Result<Bytes>>, Problem> {
    let (sender, receiver) = mpsc::channel::<io::Result<Option<Bytes>>>(WAITING_PIECES);
    let work = move || {
        loop {
            let piece = read();
            if !matches!(piece, Ok(Some(_))) {
                // First, so that a client that has everything finds no backup in its way.
                drop(read);
                let _ = sender.blocking_send(piece);
                return;
            }
            if sender.blocking_send(piece).is_err() {
                return;
            }
        }
    };
    let started = thread::Builder::new().name("backup".to_owned()).spawn(work);
    started.map_err(|_| Problem::new(Code::Unavailable, "the backup could not be started: try again"))?;
    Ok(stream::unfold((receiver, expiry), |(mut receiver, expiry)| async move {
        if expiry.expired().now_or_never().is_some() {
            let ended = io::Error::other("the caller is not accepted any more");
            receiver.close();
            return Some((Err(ended), (receiver, expiry)));
        }
        // Without an end, the thread has panicked.
        let no_end = || Err(io::Error::other("the backup broke off"));
        let piece = receiver.recv().await.unwrap_or_else(no_end).transpose()?;
        Some((piece, (receiver, expiry)))
    }))
}

/// Logs why a backup cannot be read on, and returns the error that cuts its answer off.
pub(super) fn ended_early(error: BackupError) -> io::Error {
    tracing::error!(%error, "a backup has ended early");
    io::Error::other(error)
}

/// Returns the problem for a backup that did not begin.
pub(super) fn not_begun(error: &BackupError) -> Problem {
    match error {
        BackupError::Busy => Problem::new(Code::Busy, "another backup is running: wait for its end"),
        error => {
            tracing::error!(%error, "a backup did not begin");
            Problem::new(Code::Unavailable, "the backup could not be made now: the log says why")
        }
    }
}
